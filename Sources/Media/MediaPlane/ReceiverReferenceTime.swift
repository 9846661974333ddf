import Basics
import RTP

/// A reference time that came from a receiver (RFC 3611 §4.4) and waits for the next report.
struct ReceiverReferenceTime: BitwiseCopyable {
    let receiver: SSRC
    let time: NTPTime
    let arrival: Instant

    func echo(at now: Instant) -> ReceiverReferenceEcho {
        // Reports leave once a second: far from the 18 hours that the field holds.
        let delay = max(0, now - self.arrival < .seconds(60) ? (now - self.arrival).count : 60_000_000_000)
        return ReceiverReferenceEcho(
            receiver: self.receiver,
            lastReport: self.time.middle32,
            delay: UInt32(truncatingIfNeeded: delay * 65_536 / 1_000_000_000)
        )
    }
}
