import Basics
import STUN
import TestSupport
import Testing

@Suite struct STUNMessageViewTests {
    static let malformed: [(String, [UInt8], STUNParseError)] = [
        ("nothing", [], .truncatedHeader(byteCount: 0)),
        ("19 bytes", Array(repeating: 0, count: 19), .truncatedHeader(byteCount: 19)),
        ("RTP", [0x80] + Array(repeating: 0, count: 31), .notSTUN),
        ("a TURN channel", [0x40] + Array(repeating: 0, count: 31), .notSTUN),
        ("RFC 3489", [0, 1] + Array(repeating: 0, count: 18), .wrongMagicCookie(0)),
        (
            "a length of 2", bytes("000100022112a4420102030405060708090a0b0c0000"),
            .lengthMismatch(declared: 2, actual: 2)
        ),
        (
            "bytes behind the end", bytes("000100002112a4420102030405060708090a0b0c80220000"),
            .lengthMismatch(declared: 0, actual: 4)
        ),
        (
            "an attribute beyond the end", bytes("000100042112a4420102030405060708090a0b0c00060001"),
            .attributeOverrun(type: 6, declaredLength: 1, available: 0)
        ),
        ("a short MESSAGE-INTEGRITY", message([(8, [1])]), .wrongAttributeLength(type: 8, length: 1)),
        (
            "a short SHA-256", message([(0x1C, Array(repeating: 0, count: 12))]),
            .wrongAttributeLength(type: 0x1C, length: 12)
        ),
        (
            "a long FINGERPRINT", message([(0x8028, Array(repeating: 0, count: 8))]),
            .wrongAttributeLength(type: 0x8028, length: 8)
        ),
        (
            "SOFTWARE behind FINGERPRINT", message([(0x8028, [0, 0, 0, 0]), (0x8022, [])]),
            .attributeAfterFingerprint(type: 0x8022)
        ),
    ]

    @Test(arguments: malformed) func malformedMessageIsRefused(name: String, datagram: [UInt8], error: STUNParseError) {
        #expect(throws: error, "\(name)") { _ = try STUNMessageView(datagram.span.bytes).method }
        #expect(localUsernameFragmentKey(of: datagram.span.bytes) == nil)
    }

    @Test func everyTypeRoundTrips() throws {
        for messageClass in STUNMessageClass.allCases {
            for method: UInt16 in [0x001, 0x003, 0x00B, 0x07F, 0x080, 0xFFF] {
                let id = STUNTransactionID(high: 1, low: 2)
                let datagram = STUNMessageBuilder(messageClass, method: method, transactionID: id).finish()
                let view = try STUNMessageView(datagram.span.bytes)
                #expect(view.messageClass == messageClass)
                #expect(view.method == method)
                #expect(view.transactionID == id)
                #expect(view.fingerprintIsValid == true)
            }
        }
    }

    /// RFC 8489 §14.5: what stands behind the integrity attribute was not signed.
    @Test func attributesBehindIntegrityAreIgnored() throws {
        let key = STUNIntegrityKey("password".utf8)
        var builder = STUNMessageBuilder(.request, transactionID: STUNTransactionID(high: 1, low: 2))
        builder.addPriority(7)
        var datagram = builder.finish(key: key, fingerprint: false)
        datagram += bytes("00250000 00060003 613a6200 00240004 00000009 7fff0000 002000080001 0000 00000000")
        datagram[3] = UInt8(datagram.count - 20)
        let view = try STUNMessageView(datagram.span.bytes)
        #expect(view.verifyIntegrity(key: key) == true)
        #expect(view.useCandidate == false)
        #expect(view.usernameRange == nil)
        #expect(view.priority == 7)
        #expect(view.xorMappedAddress == nil)
        #expect(view.unknownRequiredAttributes().isEmpty)
    }

    @Test func bothIntegrityAttributesAreHeededAndTheStrongerDecides() throws {
        let key = STUNIntegrityKey("password".utf8)
        let id = STUNTransactionID(high: 1, low: 2)
        let weak = STUNMessageBuilder(.request, transactionID: id).finish(key: key, fingerprint: false)
        var both = weak + [0x00, 0x1C, 0x00, 0x20] + Array(repeating: 0, count: 32)
        both[3] = UInt8(both.count - 20)
        #expect(try STUNMessageView(weak.span.bytes).verifyIntegrity(key: key) == true)
        #expect(try STUNMessageView(both.span.bytes).integrityAlgorithm == .sha256)
        #expect(try STUNMessageView(both.span.bytes).verifyIntegrity(key: key) == false)
        let strong = STUNMessageBuilder(.request, transactionID: id).finish(key: key, algorithm: .sha256)
        #expect(try STUNMessageView(strong.span.bytes).verifyIntegrity(key: key) == true)
    }

    @Test func firstOfTwoAttributesCounts() throws {
        let datagram = message([(0x24, [0, 0, 0, 1]), (0x24, [0, 0, 0, 2]), (6, [0x61]), (6, [0x62])])
        let view = try STUNMessageView(datagram.span.bytes)
        #expect(view.priority == 1)
        #expect(view.username == "a")
    }

    @Test func unknownRequiredAttributesAreListedOnceAndBounded() throws {
        let twice = message([(0x7001, []), (0x8001, [1]), (0x7001, [2]), (0x0003, []), (0x000C, [])])
        let view = try STUNMessageView(twice.span.bytes)
        #expect(view.unknownRequiredAttributes().map(\.rawValue) == [0x7001, 0x0003, 0x000C])
        #expect(view.unknownRequiredAttributes(isKnown: { $0.rawValue == 0x000C }).map(\.rawValue) == [0x7001, 0x0003])
        let many = message((0..<1_000).map { (UInt16(0x7000 + $0), []) })
        #expect(try STUNMessageView(many.span.bytes).unknownRequiredAttributes().count == 8)
    }

    @Test func attributesOfWrongLengthReadAsAbsent() throws {
        let datagram = message([
            (0x24, [1]), (0x8029, [1]), (0x802A, []), (0x20, [0, 1, 0, 0]), (0x01, [0, 2, 0, 0, 1, 2, 3, 4]),
            (0x09, [0, 0]), (0x1E, [1]), (0x0A, [7]),
        ])
        let view = try STUNMessageView(datagram.span.bytes)
        #expect(view.priority == nil)
        #expect(view.iceControlled == nil)
        #expect(view.iceControlling == nil)
        #expect(view.xorMappedAddress == nil)
        #expect(view.mappedAddress == nil)
        #expect(view.errorCode == nil)
        #expect(view.userhash == nil)
        #expect(view.unknownAttributes().isEmpty)
    }

    /// Seeds of other projects: odd paddings, RFC 3489 messages, messages cut by a fuzzer.
    static let corpus = [
        "000100002112a4424e766678336c553746554246",
        "0101000c2112a442291fcd7cba58abd7f24101000001000800019dfcac1744e6",
        "010100182112a442e3a946e17c00c26254080100002000140002cb5b05135e42e3ad56e1c230999daaed01c3",
        "000100082112a442e3a946e17c00c2625408010000060003616263cc",
        "011100142112a442291fcd7cba58abd7f24101000009001000000401556e617574686f72697a6564",
        "0001000c2112a442e3a946e17c00c26254080100000a000600011000ab0cbeef",
        "000100182112a442291fcd7cba58abd7f2410100802f0012687474703a2f2f6578616d706c652e636f6d0000",
        "0101000c41424344291fcd7cba58abd7f24101000001000800019dfcac1744e6",
        """
        0101003c2112a442b7e7a701bc34d6ae86df8780fa22000b7465737420766563746f72200022001200010847e10101003c21b012a442b7e7
        a7a1a643000800142b91f599fd9e90c38c740189f927f9bc
        """,
    ]

    @Test func noBytesTrap() {
        var random = SeededRandom(seed: 0x57A7)
        var parsed = 0
        let seeds = Self.corpus.map(bytes) + STUNVector.all.map(\.message)
        for round in 0..<20_000 {
            var datagram = seeds[round % seeds.count]
            for _ in 0..<(round / seeds.count == 0 ? 0 : Int.random(in: 1...4, using: &random)) {
                datagram[Int.random(in: 0..<datagram.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            guard let view = try? STUNMessageView(datagram.span.bytes) else { continue }
            parsed += 1
            _ = view.software
            _ = view.errorCode
            _ = view.unknownAttributes()
            _ = view.unknownRequiredAttributes()
            _ = view.mappedAddress
            _ = view.xorMappedAddress
            _ = view.verifyIntegrity(key: STUNVector.all[0].key)
            _ = view.fingerprintIsValid
            _ = localUsernameFragmentKey(of: datagram.span.bytes)
        }
        #expect(parsed > 1_000)
    }

    @Test func libwebrtcErrorSampleReadsAsItsTestsSay() throws {
        let datagram = bytes(Self.corpus[4])
        let view = try STUNMessageView(datagram.span.bytes)
        #expect(view.messageClass == .error)
        #expect(view.errorCode == 401)
        let unknown = bytes(Self.corpus[5])
        #expect(
            try STUNMessageView(unknown.span.bytes).unknownAttributes().map(\.rawValue) == [0x0001, 0x1000, 0xAB0C]
        )
    }
}
