package import Basics

/// Measures what one layer of a published track costs, steadily enough to decide by, and whether it is there at all.
///
/// The bitrate is the larger of a mean over 1 s and 0.9 times the highest such mean of the last 3 s: a layer let in
/// when it happens to be cheap is let out again. Silence is not counted as a low bitrate, since what counts is the cost
/// of the layer when it is sent: a screen share that stands still costs nothing and then all at once.
@usableFromInline package struct LayerRateMeter: BitwiseCopyable, Sendable {
    /// Of one sample of the mean.
    private static let step = Nanoseconds.milliseconds(100)
    /// A gap from here on is silence.
    private static let silence = Nanoseconds.milliseconds(500)
    /// Before so long there is no measured bitrate: the first packets are a key frame.
    private static let warmUpSteps = 5
    /// Means of less than a second are too rough to be remembered as the highest.
    private static let roughSteps = 10
    /// 1 - exp(-0.1): ten steps are one time constant.
    private static let smoothing: Float = 0.095_162_58
    private static let sampleCount = 30
    /// A step with so much more than the fullest of the last seconds has a key frame in it: the rest of that is not
    /// counted, or each key frame would make the layer look dearer than it is for three seconds.
    private static let surplus: Float = 1.25
    /// More steps in a row than a key frame takes: the layer has become dearer.
    private static let surplusSteps = 2
    private static let peakDecay: Float = 0.97
    /// Packets over this time, or three frames, make a layer present.
    private static let arrivalTime = Nanoseconds.milliseconds(300)
    /// Without packets for so long it is gone in any case, and is new when it comes back.
    package static let goneAfter = Nanoseconds.milliseconds(1_500)
    /// Where frames are told of, it is gone when so many are missing, but not before the time below.
    private static let missingFrames: Int64 = 4
    private static let leastGap = Nanoseconds.milliseconds(120)

    /// Bytes of the step in work.
    private var bytes: Float = 0
    private var stepEnd = Instant.zero
    /// Bytes per step.
    private var mean: Float = 0
    /// What part of the mean is still its start at zero.
    private var startShare: Float = 1
    /// Means of the last steps, in a ring.
    private var samples = InlineArray<30, Float>(repeating: 0)
    private var position = 0
    private var sampledCount = 0
    private var newest: Float = 0
    private var peak: Float = 0
    private var surplusCount = 0
    private var stepCount = 0
    private var firstAt: Instant?
    private var lastAt = Instant.zero
    private var frameCount = 0
    private var frameAt = Instant.zero
    /// Between frames; `nil` before there are three.
    private var frameInterval: Nanoseconds?

    package init() {}

    /// Counts a packet.
    /// - Parameters:
    ///   - byteCount: on the wire: with IP, UDP and SRTP overhead (about 50 bytes more than the payload).
    ///   - startsFrame: it is the first of its frame.
    package mutating func received(byteCount: Int, startsFrame: Bool = false, at now: Instant) {
        if now >= self.stepEnd { self.roll(to: now) }
        if startsFrame { self.noteFrame(at: now) }
        self.bytes += Float(byteCount)
        self.lastAt = now
    }

    private mutating func noteFrame(at now: Instant) {
        let interval = now - self.frameAt
        if self.frameCount > 0 { self.frameInterval = self.frameInterval.map { $0 + (interval - $0) / 8 } ?? interval }
        self.frameAt = now
        self.frameCount &+= 1
    }

    private mutating func roll(to now: Instant) {
        if self.firstAt == nil || now - self.lastAt >= Self.goneAfter {
            // It is new, or back: its former bitrate stands until there is a new one.
            self.firstAt = now
            self.frameCount = 0
            self.frameInterval = nil
            self.stepEnd = now + Self.step
        } else if now - self.lastAt >= Self.silence {
            self.finishStep()
            self.stepEnd = now + Self.step
        }
        while now >= self.stepEnd {
            self.finishStep()
            self.stepEnd = self.stepEnd + Self.step
        }
    }

    private mutating func finishStep() {
        self.mean += Self.smoothing * (self.countedBytes() - self.mean)
        self.startShare *= 1 - Self.smoothing
        self.bytes = 0
        self.newest = self.mean / (1 - self.startShare)
        self.stepCount = min(self.stepCount + 1, Self.roughSteps)
        guard self.stepCount >= Self.roughSteps else { return }
        self.samples[self.position] = self.newest
        self.position = self.position + 1 == Self.sampleCount ? 0 : self.position + 1
        self.sampledCount = min(self.sampledCount + 1, Self.sampleCount)
    }

    /// The bytes of the step that ends, without the surplus of a key frame.
    private mutating func countedBytes() -> Float {
        // Between two frames of a slow stream: that says nothing of how large its frames are.
        guard self.bytes > 0 else { return 0 }
        let limit = self.peak * Self.surplus
        let isSurplus = self.stepCount >= Self.roughSteps && self.bytes > limit
        self.surplusCount = isSurplus ? self.surplusCount + 1 : 0
        let counted = isSurplus && self.surplusCount <= Self.surplusSteps ? limit : self.bytes
        self.peak = max(self.peak * Self.peakDecay, counted)
        return counted
    }

    /// The bitrate to decide by; `nil` before there is half a second of it: use what the publisher announces, or a guess.
    package func bitrate(at now: Instant) -> Bitrate? {
        guard self.stepCount >= Self.warmUpSteps else { return nil }
        let samples = self.samples.span
        var highest: Float = 0
        for index in 0..<self.sampledCount { highest = max(highest, samples[index]) }
        let bytesPerStep = max(self.newest, 0.9 * highest)
        return Bitrate(bitsPerSecond: Int64(min(bytesPerStep, 1e9)) * 8 * 1_000_000_000 / Self.step.count)
    }

    /// Whether the layer is being sent: from three frames or 300 ms of packets on, until four frames or 1.5 s are missing.
    ///
    /// When all layers of a track fall silent together, it is the publisher's path that pauses, or a screen share that
    /// stands still: the allocator then leaves things as they are for a while.
    package func isPresent(at now: Instant) -> Bool {
        guard let firstAt = self.firstAt else { return false }
        var limit = Self.goneAfter
        if self.frameCount >= 3, let frameInterval = self.frameInterval {
            limit = min(max(frameInterval * Self.missingFrames, Self.leastGap), limit)
        }
        guard now - self.lastAt < limit else { return false }
        return self.frameCount >= 3 || self.lastAt - firstAt >= Self.arrivalTime
    }
}
