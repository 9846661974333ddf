import Basics

/// Answers marks of a queue that marks from a few milliseconds on (L4S, RFC 9330 §4.1), as DCTCP does (RFC 8257 §3.3):
/// once in a round trip, by half of the smoothed share of packets that are marked (rule M).
///
/// One packet in twenty marked means one per cent less; only a link that marks all for long halves the rate.
struct MarkResponse: Sendable, BitwiseCopyable {
    /// The weight of a round trip. It starts from no marks: the first answer is at most 6 %, and the delay guards the rest.
    private static let gain = 1.0 / 8
    private static let shortestRound = Nanoseconds.milliseconds(50)

    private var received = 0
    private var marked = 0
    private var roundSince: Instant?
    private(set) var share = 0.0
    /// Packets come with ECT(1), or marked: the path takes part.
    private(set) var isCapable = false

    mutating func received(isMarked: Bool) {
        self.isCapable = true
        self.received &+= 1
        if isMarked { self.marked &+= 1 }
    }

    /// Once per feedback.
    /// - Returns: what to multiply the rate with, after a round trip with marks.
    mutating func endFeedback(roundTripTime: Nanoseconds, at now: Instant) -> Double? {
        guard self.received > 0 else { return nil }
        guard let since = self.roundSince else {
            self.roundSince = now
            return nil
        }
        guard now - since >= max(roundTripTime, Self.shortestRound) else { return nil }
        self.roundSince = now
        let fraction = Double(self.marked) / Double(self.received)
        self.share += (fraction - self.share) * Self.gain
        let hasMarks = self.marked > 0
        (self.received, self.marked) = (0, 0)
        return hasMarks ? 1 - self.share / 2 : nil
    }
}
