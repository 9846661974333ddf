import Basics
import RTP
import TestSupport
import Testing

@Suite struct RTCPExtendedReportTests {
    private static let time = NTPTime(rawValue: 0x0102_0304_0506_0708)
    private static let echo = ReceiverReferenceEcho(receiver: SSRC(2), lastReport: 0xAABB_CCDD, delay: 0x10000)

    private static func read(_ bytes: [UInt8]) -> (time: NTPTime?, echo: ReceiverReferenceEcho?) {
        withExact(bytes) { bytes in
            var found: (time: NTPTime?, echo: ReceiverReferenceEcho?) = (nil, nil)
            _ = forEachRTCPPacket(in: bytes) { found = ($0.receiverReferenceTime, $0.receiverReferenceEcho) }
            return found
        }
    }

    @Test func `what is written is read back, as RFC 3611 lays it out`() {
        let reference = rtcp { _ = $0.appendReceiverReferenceTime(Self.time, from: SSRC(1)) }
        #expect(reference == hex("80cf0004 00000001 04000002 01020304 05060708"))
        #expect(Self.read(reference).time == Self.time)
        let answer = rtcp { _ = $0.append(Self.echo, from: SSRC(1)) }
        #expect(answer == hex("80cf0005 00000001 05000003 00000002 aabbccdd 00010000"))
        #expect(Self.read(answer).echo == Self.echo)
        #expect(rtcp(capacity: 19) { _ = $0.appendReceiverReferenceTime(Self.time, from: SSRC(1)) }.isEmpty)
        #expect(rtcp(capacity: 23) { _ = $0.append(Self.echo, from: SSRC(1)) }.isEmpty)
    }

    @Test(arguments: [
        // Behind a block of another type, and as libwebrtc sends it: with an empty list of echoes before.
        ("80cf0007 00000001 01000002 00000000 00000000 04000002 01020304 05060708", true),
        ("80cf0005 00000001 05000000 04000002 01020304 05060708", true),
        // Of a wrong length, cut short, behind a block that overruns the packet, and none.
        ("80cf0005 00000001 04000003 01020304 05060708 00000000", false),
        ("80cf0003 00000001 04000002 01020304", false),
        ("80cf0005 00000001 010000ff 04000002 01020304 05060708", false),
        ("80cf0001 00000001", false),
    ])
    func `a reference time is found among other blocks`(bytes: String, expected: Bool) {
        #expect((Self.read(hex(bytes)).time == Self.time) == expected)
    }
}
