/// Whose video is shown in a room that shows N at a time: the N that spoke last, then those that joined first.
///
/// Somebody shown who speaks changes nothing; somebody else who speaks takes the place of whoever spoke longest ago.
package struct LastN<Key: Hashable & Sendable>: Sendable {
    private struct Member: Sendable {
        var key: Key
        /// The higher, the later it spoke; 0 = never.
        var turn: UInt64
    }

    /// How many are shown; `nil` = all.
    package var limit: Int?
    /// In order of joining.
    private var members: [Member] = []
    private var turnCount: UInt64 = 0

    /// - Parameter limit: 0 and up; `nil` = all.
    package init(limit: Int?) { self.limit = limit }

    /// A participant with video came. One that is there already keeps its place.
    package mutating func join(_ key: Key) {
        guard !self.members.contains(where: { $0.key == key }) else { return }
        self.members.append(Member(key: key, turn: 0))
    }

    package mutating func leave(_ key: Key) { self.members.removeAll { $0.key == key } }

    /// A participant began to speak; one without video is not remembered.
    package mutating func spoke(_ key: Key) {
        guard let index = self.members.firstIndex(where: { $0.key == key }) else { return }
        self.turnCount &+= 1
        self.members[index].turn = self.turnCount
    }

    /// Who is shown, in order of joining, so that tiles stay where they are.
    /// - Parameter viewer: does not count and is not in it: one does not need one's own video.
    package func shown(to viewer: Key? = nil) -> [Key] {
        let others = self.members.filter { $0.key != viewer }
        guard let limit = self.limit, limit < others.count else { return others.map(\.key) }
        // Those that never spoke stay in order of joining.
        let ranked = others.enumerated().sorted { ($1.element.turn, $0.offset) < ($0.element.turn, $1.offset) }
        let chosen = Set(ranked.prefix(max(limit, 0)).map(\.element.key))
        return others.map(\.key).filter { chosen.contains($0) }
    }
}
