import Basics

/// What is known of one participant's voice, in slots of 100 ms.
struct SpeakerEntry: Sendable {
    static let slotLength = Nanoseconds.milliseconds(100)
    /// Louder than this may be speech, in -dBov.
    private static let speechLevel: Float = 50
    /// Speech is so much louder than what is heard all the time (a fan, a street).
    private static let aboveNoise: Float = 8
    private static let quietNoise: Float = 60
    /// Per report, of the distance: a steady sound of -40 dBov counts as noise after about 20 s.
    private static let noiseRise: Float = 0.005
    /// 1 - exp(-0.1): a mean over 1 s.
    private static let smoothing: Float = 0.095_162_58

    /// The slot in work; later slots are empty so far.
    private(set) var slot: Int64
    /// Above the speech level, in dB, of the loudest report of this slot.
    private var excess: Float = 0
    /// The mean of `excess` over about a second.
    private(set) var loudness: Float = 0
    /// Bit *i* is set when there was speech in the slot *i* before this one.
    private(set) var history: UInt32 = 0
    private var noise = Self.quietNoise
    /// When it last spoke for 300 ms of a second.
    var spokeAt: Instant?
    /// The higher, the later its last turn began; 0 = has never spoken.
    var turn: UInt64 = 0

    init(at now: Instant) { self.slot = Self.slot(of: now) }

    static func slot(of now: Instant) -> Int64 { now.nanoseconds / Self.slotLength.count }

    /// Slots with speech among the last ten.
    var recentSlots: Int { (self.history & 0x3FF).nonzeroBitCount }
    /// Slots with speech among the last five.
    var latestSlots: Int { (self.history & 0x1F).nonzeroBitCount }

    mutating func report(level: UInt8, at now: Instant) {
        self.advance(to: now)
        let level = Float(level & 0x7F)
        if level >= self.noise {
            self.noise = min(level, Self.quietNoise)
        } else {
            self.noise -= Self.noiseRise * (self.noise - level)
        }
        let limit = min(Self.speechLevel, self.noise - Self.aboveNoise)
        guard level <= limit else { return }
        self.history |= 1
        self.excess = max(self.excess, Self.speechLevel - level)
    }

    /// Lets time pass; slots without a report were silent.
    mutating func advance(to now: Instant) {
        let slot = Self.slot(of: now)
        var steps = min(max(slot - self.slot, 0), 64)
        // Without packets (DTX) there is no noise either.
        if steps > 1 { self.noise = Self.quietNoise }
        while steps > 0 {
            self.loudness += Self.smoothing * (self.excess - self.loudness)
            self.excess = 0
            self.history <<= 1
            steps -= 1
        }
        self.slot = max(self.slot, slot)
    }
}
