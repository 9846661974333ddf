/// How much longer, or shorter, a group of packets took than the group before it.
struct ArrivalGroupDelta: Equatable, Sendable, BitwiseCopyable {
    var sendMilliseconds: Double
    var arrivalMilliseconds: Double
}

/// Puts packets into groups by their send times and compares neighbouring groups: the first stage of GCC's delay
/// detector (libwebrtc, inter_arrival_delta).
///
/// Packets of one group left within 5 ms, or arrived as one burst because something on the path had held them. All
/// times are in microseconds; send and arrival times need not share a clock.
struct InterArrivalDelta: Sendable {
    private static let groupLength: Int64 = 5_000
    private static let burstGap: Int64 = 5_000
    private static let maximumBurst: Int64 = 100_000
    private static let maximumReordered = 3
    private static let maximumClockJump: Int64 = 3_000_000

    private struct Group: Sendable, BitwiseCopyable {
        var firstSend: Int64
        var lastSend: Int64
        var firstArrival: Int64
        var lastArrival: Int64
        /// When we heard of it.
        var system: Int64
    }

    private var current: Group?
    private var previous: Group?
    private var reorderedCount = 0

    mutating func reset() { self = InterArrivalDelta() }

    /// - Parameters:
    ///   - system: our clock when the feedback came.
    /// - Returns: the deltas between the last two complete groups, when this packet begins a new one.
    @inline(__always) mutating func add(send: Int64, arrival: Int64, system: Int64) -> ArrivalGroupDelta? {
        guard var group = self.current else {
            self.current = Group(
                firstSend: send,
                lastSend: send,
                firstArrival: arrival,
                lastArrival: arrival,
                system: system
            )
            return nil
        }
        // Overtaken by the whole group: it says nothing about the queue now.
        guard send >= group.firstSend else { return nil }
        var delta: ArrivalGroupDelta?
        if Self.begins(send: send, arrival: arrival, after: group) {
            if let previous = self.previous {
                let sendDelta = group.lastSend &- previous.lastSend
                let arrivalDelta = group.lastArrival &- previous.lastArrival
                let systemDelta = group.system &- previous.system
                // The receiver's clock was set, or a whole feedback packet is wrong.
                guard arrivalDelta &- systemDelta < Self.maximumClockJump else {
                    self.reset()
                    return nil
                }
                guard arrivalDelta >= 0 else {
                    self.reorderedCount += 1
                    if self.reorderedCount >= Self.maximumReordered { self.reset() }
                    return nil
                }
                self.reorderedCount = 0
                delta = ArrivalGroupDelta(
                    sendMilliseconds: Double(sendDelta) / 1_000,
                    arrivalMilliseconds: Double(arrivalDelta) / 1_000
                )
            }
            self.previous = group
            group.firstSend = send
            group.lastSend = send
            group.firstArrival = arrival
        } else {
            group.lastSend = max(group.lastSend, send)
        }
        group.lastArrival = arrival
        group.system = system
        self.current = group
        return delta
    }

    private static func begins(send: Int64, arrival: Int64, after group: Group) -> Bool {
        let sendDelta = send &- group.lastSend
        if sendDelta == 0 { return false }
        let arrivalDelta = arrival &- group.lastArrival
        let isBurst =
            arrivalDelta < sendDelta && arrivalDelta <= Self.burstGap
            && arrival &- group.firstArrival < Self.maximumBurst
        return !isBurst && send &- group.firstSend > Self.groupLength
    }
}
