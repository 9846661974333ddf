import Audio
import Basics

/// What a publisher of audio is advised while its uplink loses packets, until it is back at what it used before.
struct AudioAdvice {
    /// What the publisher sent before it was advised; an encoder with bits to spare is not asked for more.
    private let usual: Bitrate
    private var advice: AudioBitrateAdvice

    /// - Parameter measured: what came in the last second.
    init(measured: Bitrate) {
        // A pause in the speech is no measure of what the encoder uses.
        self.usual = max(measured, .kbps(40))
        self.advice = AudioBitrateAdvice(start: self.usual)
    }

    /// Nothing is held back.
    var isOver: Bool { self.advice.bitrate >= self.usual }

    /// Once a second. Returns what the publisher is to be told.
    ///
    /// - Parameters:
    ///   - fractionLost: 0 to 1, of the last second.
    ///   - roundTripTime: in seconds; `nil` = not known.
    mutating func update(fractionLost: Double, roundTripTime: Double?) -> Bitrate? {
        // Who receives nothing has no round trip measured: its loss is the only sign there is.
        let roundTripTime = Nanoseconds.fractionalSeconds(min(max(roundTripTime ?? 0, 0), 60))
        let previous = min(self.advice.bitrate, self.usual)
        guard self.advice.update(lossFraction: fractionLost, roundTripTime: roundTripTime) != nil else { return nil }
        let bitrate = min(self.advice.bitrate, self.usual)
        return bitrate == previous ? nil : bitrate
    }
}
