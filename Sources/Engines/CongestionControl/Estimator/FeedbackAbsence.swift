import Basics

/// Receivers whose offer promises transport-wide feedback or REMB, and that send neither: libraries that list `goog-remb` and
/// leave the sending to the application, load testers with a browser's SDP. They are taken for what they are, receivers that
/// tell of loss alone (`EstimatorConfiguration.startWithoutFeedback`), instead of being held at the first guess.
struct FeedbackAbsence: Sendable, BitwiseCopyable {
    /// From the first report since video is sent: the way back works, and feedback comes ten times as often as reports. (REMB
    /// comes once a second, and later where a receiver needs seconds for a first estimate; it rules as soon as it comes.)
    private static let patience = Nanoseconds.seconds(2)
    /// From the beginning of the video: RFC 3550 §6.2 has reports come 2.1 to 6.2 s after each other, and a handshake whose
    /// last flight was lost has the receiver open nothing for a second or three.
    private static let patienceWithoutReports = Nanoseconds.seconds(6)
    /// What is sent so rarely is nothing to answer.
    private static let longestPause = Nanoseconds.milliseconds(1_500)

    private var isVideoSent = false
    /// As far as `check` has seen.
    private var sentSince: Instant?
    private var reportedSince: Instant?
    private var wasHeard = false
    /// None comes, as far as is known.
    private(set) var isRecognized = false

    /// - Parameter isSent: whether anything is sent that feedback is to tell of; sound may have no numbers.
    mutating func videoIs(sent isSent: Bool) {
        self.isVideoSent = isSent
        if !isSent { self.restart() }
    }

    mutating func heardReport(at now: Instant) {
        if self.sentSince != nil, self.reportedSince == nil { self.reportedSince = now }
    }

    /// Feedback has come: it is not absent, and never will be; silence is another matter (`FeedbackSilence`).
    mutating func heardFeedback() {
        self.wasHeard = true
        self.isRecognized = false
    }

    /// Begins to wait anew: the path is another, or nothing is sent.
    mutating func restart() {
        self.sentSince = nil
        self.reportedSince = nil
    }

    /// - Returns: whether it has just become clear that none comes.
    mutating func check(lastSentAt: Instant?, at now: Instant) -> Bool {
        guard !self.wasHeard, !self.isRecognized, self.isVideoSent else { return false }
        guard let lastSentAt, now - lastSentAt <= Self.longestPause else {
            self.restart()
            return false
        }
        let since = self.sentSince ?? now
        self.sentSince = since
        let silent = since + Self.patienceWithoutReports
        let due = self.reportedSince.map { min($0 + Self.patience, silent) } ?? silent
        self.isRecognized = now >= due
        return self.isRecognized
    }
}
