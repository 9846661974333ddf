import Basics
import LoadClient
import Testing

@Suite struct PeerReportTests {
    private static func middle(_ time: NTPTime) -> UInt32 { UInt32(truncatingIfNeeded: time.rawValue >> 16) }

    @Test func `a receiver's round trip is what passed, less what its reference time lay in the server`() throws {
        var report = PeerReport()
        #expect(report.roundTripTime == nil)
        // Its upper half wraps between the two.
        let sent = NTPTime(rawValue: 0x0000_FFFF_F000_0000)
        let now = NTPTime(rawValue: sent.rawValue + 0x1_4000_0000)
        // 1.25 s, of which one in the server.
        report.noteEcho(of: Self.middle(sent), delay: 65_536, ntpNow: now)
        #expect(report.roundTripTime == .milliseconds(250))
        report.noteEcho(of: Self.middle(sent), delay: 65_536 + 16_384 / 2, ntpNow: now)
        #expect(report.roundTripTime == .microseconds(234_375))
    }

    @Test func `an echo from the future, or of a time that was never sent, says nothing`() {
        var report = PeerReport()
        let now = NTPTime(rawValue: 1 << 40)
        report.noteEcho(of: Self.middle(now) &+ 65_536, delay: 0, ntpNow: now)
        report.noteEcho(of: Self.middle(now), delay: .max / 4, ntpNow: now)
        #expect(report.roundTripTime == nil)
    }
}
