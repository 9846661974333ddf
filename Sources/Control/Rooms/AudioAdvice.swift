import Audio
import Basics

/// What a publisher of audio is advised while its uplink loses packets, until it is back at what it used before.
struct AudioAdvice {
    /// What the publisher sends when it is not advised; an encoder with bits to spare is not asked for more.
    private var usual: Bitrate
    private var advice: AudioBitrateAdvice

    /// A pause in the speech is no measure of what the encoder uses.
    private static let least = Bitrate.kbps(40)

    init() {
        self.usual = Self.least
        self.advice = AudioBitrateAdvice(start: self.usual)
    }

    /// Nothing is held back.
    private var isOver: Bool { self.advice.bitrate >= self.usual }

    /// The most of the last seconds, forgotten by a fiftieth in each: the second in which packets get lost may be a
    /// quiet one, and the way back must not end there.
    private mutating func learn(_ measured: Bitrate) {
        let remembered = Bitrate(bitsPerSecond: self.usual.bitsPerSecond / 50 * 49)
        self.usual = min(max(measured, remembered, Self.least), AudioBitrateAdvice.range.upperBound)
        self.advice = AudioBitrateAdvice(start: self.usual)
    }

    /// Once a second in which something came. Returns what the publisher is to be told.
    ///
    /// - Parameters:
    ///   - measured: what came in the last second.
    ///   - fractionLost: 0 to 1, of the last second.
    ///   - roundTripTime: in seconds; `nil` = not known.
    mutating func update(measured: Bitrate, fractionLost: Double, roundTripTime: Double?) -> Bitrate? {
        if self.isOver { self.learn(measured) }
        // Who receives nothing has no round trip measured: its loss is the only sign there is.
        let roundTripTime = Nanoseconds.fractionalSeconds(min(max(roundTripTime ?? 0, 0), 60))
        let previous = min(self.advice.bitrate, self.usual)
        guard self.advice.update(lossFraction: fractionLost, roundTripTime: roundTripTime) != nil else { return nil }
        let bitrate = min(self.advice.bitrate, self.usual)
        return bitrate == previous ? nil : bitrate
    }
}
