import Basics
import CongestionControl

/// What a subscriber's last allocation rested on, and whether that still holds: then another one would decide the same.
struct AllocationBasis {
    /// What is remembered of a track without an event is looked at so often in any case.
    private static let longest = Nanoseconds.seconds(1)
    /// From here on the allocator thinks of loss.
    private static let lossy = 0.03
    /// In thousandths: a smaller change of the estimate is none while more is wanted than is sent.
    private static let step: Int64 = 5
    /// In per cent of what is sent: where all that is wanted is sent, an estimate above this leaves everything as it is.
    private static let ample: Int64 = 150

    private var at: Instant?
    private var estimate = Bitrate.zero
    private var audio = Bitrate.zero
    private var offers: UInt32 = 0
    /// Of audio and video.
    private var total: Int64 = 0
    private var isComplete = false

    /// - Parameters:
    ///   - estimate: with the subscriber's cap.
    ///   - offers: the sum of the `offersVersion`s of its tracks.
    ///   - allocated: to videos.
    ///   - wanted: audio and every video at its best.
    ///   - isProvisional: something has just changed, or more is sent than the estimate has room for.
    mutating func note(
        _ estimate: BandwidthEstimate,
        audio: Bitrate,
        offers: UInt32,
        allocated: Bitrate,
        wanted: Bitrate,
        goal: ProbeGoal,
        isProvisional: Bool,
        at now: Instant
    ) {
        self.at = Self.isCalm(estimate) && !isProvisional ? now : nil
        self.estimate = estimate.bitrate
        self.audio = audio
        self.offers = offers
        self.total = audio.bitsPerSecond + allocated.bitsPerSecond
        self.isComplete = goal.bitrate == .zero && self.total >= wanted.bitsPerSecond
    }

    func holds(_ estimate: BandwidthEstimate, audio: Bitrate, offers: UInt32, at now: Instant) -> Bool {
        guard let at = self.at, now - at < Self.longest, Self.isCalm(estimate), offers == self.offers else {
            return false
        }
        let (new, old) = (estimate.bitrate.bitsPerSecond, self.estimate.bitsPerSecond)
        guard abs(audio.bitsPerSecond - self.audio.bitsPerSecond) * 100 <= old else { return false }
        if self.isComplete, min(new, old) * 100 >= self.total * Self.ample { return true }
        return abs(new - old) * 1_000 <= old * Self.step
    }

    private static func isCalm(_ estimate: BandwidthEstimate) -> Bool {
        !estimate.isCongested && estimate.lossFraction <= Self.lossy
            && (estimate.standingQueue ?? .zero) < .milliseconds(60)
    }
}
