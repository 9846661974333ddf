/// When memory that sessions have left is given back to the system.
///
/// What is freed stays with the process for whoever comes next, page by page between what is still in use: without this,
/// a server that once had 5,000 sessions would hold the memory of 5,000 until it is restarted.
package struct MemoryReturn: Sendable {
    /// Fewer have left too little to be worth the walk through the heaps.
    private static let leastCount = 64
    /// Of the sessions that there were, one in so many must have gone.
    private static let share = 4
    /// They are still leaving while, in a second, more than one in so many of those that have gone goes.
    private static let rush = 16

    /// The most sessions since memory was last given back.
    private var most = 0
    private var previous = 0

    package init() {}

    /// To be asked once a second.
    ///
    /// - Parameter sessions: of the whole process.
    /// - Returns: whether to give memory back now.
    package mutating func isDue(sessions: Int) -> Bool {
        let leaving = self.previous - sessions
        self.previous = sessions
        self.most = max(self.most, sessions)
        let gone = self.most - sessions
        guard gone >= max(Self.leastCount, self.most / Self.share), leaving <= gone / Self.rush else { return false }
        self.most = sessions
        return true
    }
}
