import Basics

/// When our last flight is sent again (RFC 6347 §4.2.4), over paths that lose a fifth of all datagrams too.
///
/// RFC 6347 §4.2.4.1 begins at 1 s, for the Internet at large; a call should start sooner, and what is sent again is a
/// kilobyte at most. The first time is measured as soon as a flight is answered that was sent once. The same time
/// counts twice, because losses come one by one more often than in a row; after that each is half as long again.
struct DTLSResendTimer {
    private let configuration: DTLSConfiguration
    /// When the flight goes out again; `nil` when it need not.
    private(set) var deadline: Instant?
    private(set) var lastTransmission = Instant.zero
    /// Something of this handshake was lost: each further flight is sent a second time soon after the first.
    private var hasSeenLoss = false
    private var firstInterval: Nanoseconds
    /// How often the flight has been sent.
    private var sentCount = 0
    private var hasCopy = false
    private var isFinal = false
    /// When the first record of the flight came that the peer is sending now.
    private var peerFlightBegan: Instant?

    /// How often a final flight is sent again unasked: its loss shows only when the peer's timer has run out, which
    /// takes OpenSSL a second.
    private static let finalRepetitionCount = 3
    /// Processing on either side, and jitter.
    private static let margin = Nanoseconds.milliseconds(15)

    init(_ configuration: DTLSConfiguration) {
        self.configuration = configuration
        self.firstInterval = configuration.firstRetransmission
    }

    /// A new handshake record of the peer has come.
    mutating func peerSent(at now: Instant) {
        if self.peerFlightBegan == nil { self.peerFlightBegan = now }
    }

    /// The peer repeats what we have answered: it has missed the answer, unless it was the network that doubled it.
    mutating func peerRepeated(at now: Instant) {
        if self.mayAnswerRepetition(at: now) { self.hasSeenLoss = true }
    }

    /// A new flight was sent, which answers the peer's.
    ///
    /// - Parameter isFinal: nobody answers it.
    mutating func flightSent(at now: Instant, isFinal: Bool) {
        // Answered before it was sent again, so there is no doubt what the answer was to (RFC 6298 §3).
        if self.sentCount == 1, let began = self.peerFlightBegan {
            let roundTrip = began - self.lastTransmission
            self.firstInterval = min(self.firstInterval, roundTrip + roundTrip / 4 + Self.margin)
        }
        // A flight that came in pieces with a pause between them was sent more than once.
        if let began = self.peerFlightBegan, now - began >= self.configuration.resendSpacing {
            self.hasSeenLoss = true
        }
        self.peerFlightBegan = nil
        self.isFinal = isFinal
        self.sentCount = 0
        self.hasCopy = self.hasSeenLoss
        self.sent(at: now)
    }

    /// The flight was sent again.
    mutating func resent(at now: Instant) { self.sent(at: now) }

    private mutating func sent(at now: Instant) {
        self.sentCount += 1
        self.lastTransmission = now
        if self.isFinal, self.sentCount > Self.finalRepetitionCount {
            self.deadline = nil
        } else {
            self.deadline = now + self.interval
        }
    }

    private var interval: Nanoseconds {
        let step = self.sentCount - (self.hasCopy ? 1 : 0)
        if step < 1 { return self.configuration.copySpacing }
        var interval = self.firstInterval
        for _ in 2..<max(2, min(step, 32)) { interval = interval * 3 / 2 }
        return min(interval, self.configuration.longestRetransmission)
    }

    /// The timer has run out: there was no answer in time.
    mutating func timedOut() { self.hasSeenLoss = true }

    mutating func stop() { self.deadline = nil }

    /// Whether enough time has passed since the flight was sent last for an answer to a repetition.
    func mayAnswerRepetition(at now: Instant) -> Bool {
        now - self.lastTransmission >= self.configuration.resendSpacing
    }
}
