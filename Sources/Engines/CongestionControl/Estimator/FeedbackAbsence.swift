import Basics

/// Receivers whose offer promises transport-wide feedback or REMB, and that send neither: libraries that list `goog-remb` and
/// leave the sending to the application, load testers with a browser's SDP. They are taken for what they are, receivers that
/// tell of loss alone (`EstimatorConfiguration.startWithoutFeedback`), instead of being held at the first guess.
struct FeedbackAbsence: Sendable, BitwiseCopyable {
    /// From the first reception report on: the way back works, and feedback comes ten times as often as reports.
    private static let patience = Nanoseconds.seconds(2)
    /// From the first packet on: RFC 3550 §6.2 has the first report come within 2.5 s to 5 s, and a handshake whose last
    /// flight was lost has the receiver open nothing for a second or three.
    private static let patienceWithoutReports = Nanoseconds.seconds(6)

    private var sentSince: Instant?
    private var reportedSince: Instant?
    private var isDecided = false

    mutating func heardReport(at now: Instant) { self.reportedSince = self.reportedSince ?? now }

    /// Feedback has come: it is not absent any more, and never will be; silence is another matter (`FeedbackSilence`).
    mutating func heardFeedback() { self.isDecided = true }

    /// - Returns: whether it has just become clear that none will come. Once only.
    mutating func isRecognized(hasSent: Bool, at now: Instant) -> Bool {
        guard !self.isDecided, hasSent else { return false }
        let since = self.sentSince ?? now
        self.sentSince = since
        // A report may be about audio, and come before anything is sent that feedback would tell of.
        let due = self.reportedSince.map { max($0, since) + Self.patience } ?? since + Self.patienceWithoutReports
        guard now >= due else { return false }
        self.isDecided = true
        return true
    }
}
