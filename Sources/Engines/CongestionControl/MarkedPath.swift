package import Basics
package import RTP

/// Whether packets leave with ECT(1), so that queues on the way may mark them in place of dropping them (L4S, RFC 9331
/// §4.1), and whether the path lets the marks be (RFC 6679 §7.2 and §7.4, RFC 9331 §4.3).
///
/// At first one packet in four is marked: a path that drops marked packets then costs some retransmissions and no picture,
/// and is found out because feedback about the others still comes. After eight marks that arrived as marks all packets
/// leave so. A path that clears the marks, or drops what has them, is sent none until the route is another.
package struct MarkedPath: Sendable, BitwiseCopyable {
    package enum State: UInt8, Sendable, BitwiseCopyable, CaseIterable {
        /// Not asked for.
        case off
        case trying
        case capable
        /// Marks arrived as something else.
        case bleached
        /// What was marked did not arrive, and what was not did.
        case dropped
    }

    private static let share: UInt32 = 4
    private static let provenAfter = 8
    private static let bleachedAfter = 8
    private static let bleachedAgainAfter = 32
    private static let droppedAfter = 16
    /// Where all packets are marked, a path that begins to drop them is silent.
    private static let patience = Nanoseconds.seconds(1)

    package private(set) var state: State
    private let isWanted: Bool
    private var count: UInt32 = 0
    /// In a row.
    private var proven = 0
    private var bleached = 0
    private var dropped = 0
    /// When feedback last told of a mark that arrived as one.
    private var heardAt = Instant.zero

    package init(isWanted: Bool) {
        self.isWanted = isWanted
        self.state = isWanted ? .trying : .off
    }

    /// Whether the packet that leaves now is to have ECT(1).
    package mutating func takeNext(at now: Instant) -> Bool {
        switch self.state {
        case .off, .bleached, .dropped: return false
        case .capable:
            guard now - self.heardAt > Self.patience else { return true }
            self.tryAgain()
            return self.takeNext(at: now)
        case .trying:
            self.count &+= 1
            return self.count % Self.share == 0
        }
    }

    /// Feedback tells for the first time of the arrival of a packet that had left with ECT(1).
    package mutating func received(_ mark: ECNMark, at now: Instant) {
        guard self.state == .trying || self.state == .capable else { return }
        self.dropped = 0
        switch mark {
        case .capable1, .congestionExperienced:
            self.heardAt = now
            self.bleached = 0
            self.proven += 1
            if self.state == .trying, self.proven >= Self.provenAfter { self.state = .capable }
        case .notCapable, .capable0:
            self.proven = 0
            self.bleached += 1
            let limit = self.state == .trying ? Self.bleachedAfter : Self.bleachedAgainAfter
            if self.bleached >= limit { self.state = .bleached }
        }
    }

    /// Feedback tells for the first time that a packet which had left with ECT(1) has not come.
    package mutating func lost() {
        guard self.state == .trying else { return }
        self.dropped += 1
        if self.dropped >= Self.droppedAfter { self.state = .dropped }
    }

    /// The packets take another way.
    package mutating func routeChanged() {
        if self.isWanted { self.tryAgain() }
    }

    private mutating func tryAgain() {
        self.state = .trying
        (self.proven, self.bleached, self.dropped) = (0, 0, 0)
    }
}
