import Basics
import STUN
import Testing

@Suite struct STUNMessageBuilderTests {
    let id = STUNTransactionID(high: 0xB7E7_A701, low: 0xBC34_D686_FA87_DFAE)

    @Test func writesTheSampleResponsesOfTheRFC() {
        // The samples pad with spaces and we with zeros, so only what does not depend on padding is the same.
        for (index, address) in [(1, "192.0.2.1"), (2, "2001:db8:1234:5678:11:2233:4455:6677")] {
            var builder = STUNMessageBuilder(.success, transactionID: self.id)
            builder.add(.software, Array("test vector ".utf8))
            builder.addXORMappedAddress(TransportAddress(address, port: 32853)!)
            let built = builder.finish(key: STUNVector.all[index].key)
            let sample = STUNVector.all[index].message
            #expect(built.count == sample.count)
            let addressStart = 20 + 4 + 12
            let addressEnd = sample.count - 8 - 24
            #expect(built[addressStart..<addressEnd] == sample[addressStart..<addressEnd])
            #expect(STUNVector.all[index].isAccepted(built))
        }
    }

    @Test(arguments: STUNIntegrityAlgorithm.allCases) func everyAttributeReadsBack(
        algorithm: STUNIntegrityAlgorithm
    ) throws {
        let key = STUNIntegrityKey("password".utf8)
        let address = TransportAddress("203.0.113.9", port: 1)!
        var builder = STUNMessageBuilder(.error, transactionID: self.id)
        builder.addUsername("ours:theirs".utf8)
        builder.addPriority(0xFFFF_FFFF)
        builder.addUseCandidate()
        builder.addICEControlled(tieBreaker: 1)
        builder.addICEControlling(tieBreaker: .max)
        builder.addMappedAddress(address)
        builder.addErrorCode(487, reason: "Role Conflict")
        builder.addUnknownAttributes([.realm, .nonce])
        builder.add(.realm, Array("r".utf8))
        let datagram = builder.finish(key: key, algorithm: algorithm)
        let view = try STUNMessageView(datagram.span.bytes)
        #expect(view.username == "ours:theirs")
        #expect(view.priority == .max)
        #expect(view.useCandidate == true)
        #expect(view.iceControlled == 1)
        #expect(view.iceControlling == .max)
        #expect(view.mappedAddress == address)
        #expect(view.errorCode == 487)
        #expect(view.unknownAttributes() == [.realm, .nonce])
        #expect(view.realm == "r")
        #expect(view.integrityAlgorithm == algorithm)
        #expect(view.verifyIntegrity(key: key) == true)
        #expect(view.fingerprintIsValid == true)
    }

    /// ATTACKS A-29.
    @Test(arguments: 0...8) func paddingIsZero(count: Int) throws {
        var builder = STUNMessageBuilder(.request, transactionID: self.id)
        builder.addUsername(Array(repeating: 0xFF, count: count))
        let datagram = builder.finish(fingerprint: false)
        #expect(datagram.count.isMultiple(of: 4))
        #expect(datagram.dropFirst(24 + count).allSatisfy { $0 == 0 })
        #expect(datagram.count == 24 + (count + 3) / 4 * 4)
    }

    @Test func whatDoesNotFitIsLeftOut() throws {
        var builder = STUNMessageBuilder(.request, transactionID: self.id)
        for _ in 0..<3 { builder.add(.software, Array(repeating: 0x41, count: 32_000)) }
        builder.add(.nonce, Array(repeating: 0x41, count: 70_000))
        let key = STUNIntegrityKey("password".utf8)
        let datagram = builder.finish(key: key)
        let view = try STUNMessageView(datagram.span.bytes)
        #expect(view.verifyIntegrity(key: key) == true)
        #expect(view.fingerprintIsValid == true)
        #expect(view.attribute(.nonce) == nil)
    }

    @Test func keysDoNotPrintThemselves() {
        #expect("\(STUNIntegrityKey("secret".utf8))" == "[redacted]")
    }

    static let fragmentKeys: [(String, UInt64?)] = [
        ("ABCDEFGH:x", 0x4142_4344_4546_4748),
        ("ABCDEFGH:", 0x4142_4344_4546_4748),
        ("ABCDEFGH:a:b", 0x4142_4344_4546_4748),
        ("ABCDEFGHI:x", nil),
        ("ABCDEFG:x", nil),
        ("ABCD:FGH:x", nil),
        ("ABCDEFGH", nil),
        ("", nil),
    ]

    @Test(arguments: fragmentKeys) func requestIsFoundByTheFirstPartOfItsUsername(username: String, key: UInt64?) {
        var builder = STUNMessageBuilder(.request, transactionID: self.id)
        builder.add(.software, Array("any".utf8))
        builder.addUsername(username.utf8)
        let datagram = builder.finish(key: STUNIntegrityKey("any".utf8))
        #expect(localUsernameFragmentKey(of: datagram.span.bytes) == key)
    }

    @Test func onlyBindingRequestsAreFound() {
        for (messageClass, method): (STUNMessageClass, UInt16) in [(.request, 3), (.indication, 1), (.success, 1)] {
            var builder = STUNMessageBuilder(messageClass, method: method, transactionID: self.id)
            builder.addUsername("ABCDEFGH:x".utf8)
            let datagram = builder.finish()
            #expect(localUsernameFragmentKey(of: datagram.span.bytes) == nil)
        }
        let unsigned = message([(8, Array(repeating: 0, count: 20)), (6, Array("ABCDEFGH:x".utf8))])
        #expect(localUsernameFragmentKey(of: unsigned.span.bytes) == nil)
    }
}
