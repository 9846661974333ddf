/// A pause in which nothing arrived, although packets had been sent: Wi-Fi scans, handovers, an outage (part of rule V).
///
/// What was held back then arrives at the link's full rate, with a delay that falls from packet to packet. That is a
/// queue, but one that is already going; an overuse seen in it is none. After a drop of the capacity packets come late
/// one by one, and ever later.
struct ArrivalStall: Sendable, BitwiseCopyable {
    private static let shortest: Int64 = 60_000
    /// How fast the delay has to fall for the queue to count as going: 2 ms in 100 ms.
    private static let fall: Int64 = 50
    /// Within a frame that leaves in one burst the delay rises from packet to packet; it falls from frame to frame.
    private static let slack: Int64 = 40_000
    private static let recent: Int64 = 350_000
    private static let longest: Int64 = 5_000_000

    private var lastSend: Int64?
    private var lastArrival: Int64 = 0
    private var endedAt: Int64?
    private var stalledAt: Int64?
    private var transit: Int64 = 0

    /// - Parameters:
    ///   - send: microseconds of our clock.
    ///   - arrival: microseconds of the receiver's; not before the packet before.
    @inline(__always) mutating func add(send: Int64, arrival: Int64) {
        defer {
            self.lastSend = send
            self.lastArrival = arrival
        }
        guard let lastSend = self.lastSend else { return }
        let gap = arrival &- self.lastArrival
        if gap >= Self.shortest, send &- lastSend < gap / 2 {
            // Pause upon pause, and the delay has not gone down between them: a slow link.
            if self.isRecent, self.lastArrival &- lastSend > self.transit &- gap / 2 {
                self.endedAt = nil
                return
            }
            self.endedAt = arrival
            self.stalledAt = arrival
            self.transit = arrival &- send
            return
        }
        guard let endedAt = self.endedAt else { return }
        let elapsed = arrival &- endedAt
        let allowed = self.transit &- elapsed / Self.fall &+ Self.slack
        if elapsed > Self.longest || arrival &- send > allowed { self.endedAt = nil }
    }

    /// Whether the queue of a pause is going.
    var isClearing: Bool { self.endedAt != nil }

    /// Whether a pause fell into the last 350 ms: what arrived in them is not what the link can do.
    var isRecent: Bool { self.stalledAt.map { self.lastArrival &- $0 < Self.recent } ?? false }
}
