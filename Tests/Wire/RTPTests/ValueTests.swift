import Basics
import RTP
import Testing

@Suite struct ShortTextTests {
    @Test(arguments: ["0", "audio", "a-b_c.d", "1234567", "12345678", "123456789", "1234567890abcdef"])
    func `up to sixteen token characters come back as they were`(text: String) throws {
        let short = try #require(ShortText(text))
        #expect(short.string == text && short.count == text.utf8.count)
        let read = withExact(Array("<\(text)>".utf8)) { ShortText($0, range: 1..<(1 + text.utf8.count)) }
        #expect(read == short)
        #expect(read?.hashValue == short.hashValue)
    }

    @Test(arguments: ["", "1234567890abcdefg", "a b", "a\"", "a,b", "ä", "a\u{0}", "(x)", "a/b", "{", "a@b", "\u{7F}"])
    func `what is no token is refused`(text: String) {
        let read = withExact(Array(text.utf8)) { ShortText($0, range: 0..<text.utf8.count) }
        // "{" is a token character by the letter of RFC 8866.
        #expect((read == nil) == (text != "{"))
        #expect(ShortText(text) == read)
    }

    @Test func `a range outside the bytes is refused`() {
        let read = withExact([0x61, 0x62]) { [ShortText($0, range: 1..<3), ShortText($0, range: -1..<1)] }
        #expect(read == [nil, nil])
        #expect(ShortText("ab") != ShortText("ba") && ShortText("a") != ShortText("ab"))
    }
}

@Suite struct AbsoluteSendTimeTests {
    @Test func `seconds are 6.18 fixed point and wrap at 64`() {
        #expect(AbsoluteSendTime(.zero).rawValue == 0)
        #expect(AbsoluteSendTime(.zero + .seconds(1)).rawValue == 1 << 18)
        #expect(AbsoluteSendTime(.zero + .milliseconds(63_500)).rawValue == 0xFE_0000)
        #expect(AbsoluteSendTime(.zero + .seconds(64 * 1_000 + 2)).rawValue == 2 << 18)
        #expect(AbsoluteSendTime(Instant(nanoseconds: -1)).rawValue == 0xFF_FFFF)
        #expect(AbsoluteSendTime(.distantFuture).rawValue <= 0xFF_FFFF)
        #expect(AbsoluteSendTime(rawValue: .max).rawValue == 0xFF_FFFF)
    }

    @Test func `intervals are signed and go over the wrap`() {
        let before = AbsoluteSendTime(.zero + .milliseconds(63_999))
        let after = AbsoluteSendTime(.zero + .milliseconds(64_001))
        #expect(abs(after.interval(since: before).count - 2_000_000) < 4_000)
        #expect(abs(before.interval(since: after).count + 2_000_000) < 4_000)
    }
}

@Suite struct HeaderExtensionMapTests {
    @Test func `ids and kinds are found both ways`() {
        var map = HeaderExtensionMap()
        #expect(map.isEmpty && map.kind(ofID: 0) == nil && map.kind(ofID: 3) == nil)
        map[.mid] = 3
        map[.dependencyDescriptor] = 200
        #expect(map.kind(ofID: 3) == .mid && map.kind(ofID: 200) == .dependencyDescriptor && map.kind(ofID: 0) == nil)
        for kind in HeaderExtension.allCases { #expect(HeaderExtension(uri: kind.uri) == kind) }
        #expect(HeaderExtension(uri: "urn:none") == nil)
    }
}

@Suite struct RTXPayloadTests {
    @Test func `the original sequence number goes in front of the payload and comes off again`() {
        var packet = [UInt8](repeating: 0, count: 17)
        let offset = {
            var span = packet.mutableSpan
            var bytes = span.mutableBytes
            return RTXPayload.writeOriginalSequenceNumber(SequenceNumber(0xBEEF), into: &bytes, at: 12)
        }()
        #expect(offset == 14 && packet[12...13] == [0xBE, 0xEF])
        let read = withExact(packet) { RTXPayload($0, headerLength: 12, paddingLength: 1) }
        #expect(read?.originalSequenceNumber == SequenceNumber(0xBEEF))
        #expect(read?.payloadOffset == 14 && read?.payloadLength == 2)
    }

    @Test func `packets without room for it are probes, and a buffer without room is refused`() {
        for (count, padding, expected) in [(12, 0, nil), (13, 0, nil), (14, 0, 0), (14, 1, nil), (15, 3, nil)] {
            let read = withExact([UInt8](repeating: 0, count: count)) {
                RTXPayload($0, headerLength: 12, paddingLength: padding)?.payloadLength
            }
            #expect(read == expected)
        }
        var small: [UInt8] = [0, 0, 0]
        var span = small.mutableSpan
        var bytes = span.mutableBytes
        for (offset, expected) in [(-1, nil), (0, 2), (1, 3), (2, nil), (.max, nil)] as [(Int, Int?)] {
            let written = RTXPayload.writeOriginalSequenceNumber(SequenceNumber(1), into: &bytes, at: offset)
            #expect(written == expected)
        }
    }
}
