import RTP
import Testing

@Suite struct DatagramKindTests {
    @Test func `all pairs of first two bytes follow RFC 7983 and RFC 5761`() {
        var wrong: [(Int, Int)] = []
        for first in 0...255 {
            for second in 0...255 {
                let expected: DatagramKind
                if first <= 3 {
                    expected = .stun
                } else if first >= 20, first <= 63 {
                    expected = .dtls
                } else if first >= 64, first <= 79 {
                    expected = .turnChannel
                } else if first >= 128, first <= 191 {
                    expected = second >= 192 && second <= 223 ? .rtcp : .rtp
                } else {
                    expected = .unknown
                }
                let kind = withExact([UInt8(first), UInt8(second)]) { classifyDatagram($0) }
                if kind != expected { wrong.append((first, second)) }
            }
        }
        #expect(wrong.isEmpty)
    }

    @Test(arguments: [([], .unknown), ([0x80], .unknown), ([0x00], .stun), ([22], .dtls)] as [([UInt8], DatagramKind)])
    func `a datagram too short for its second byte is no RTP`(bytes: [UInt8], expected: DatagramKind) {
        #expect(withExact(bytes) { classifyDatagram($0) } == expected)
    }
}
