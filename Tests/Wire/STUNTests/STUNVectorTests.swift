import Basics
import STUN
import Testing

@Suite struct STUNVectorTests {
    @Test(arguments: STUNVector.all) func sampleMessageIsAccepted(vector: STUNVector) throws {
        #expect(vector.isAccepted(vector.message))
        let view = try STUNMessageView(vector.message.span.bytes)
        #expect(view.hasFingerprint == vector.hasFingerprint)
        #expect(view.verifyIntegrity(key: STUNIntegrityKey("wrong".utf8)) == false)
    }

    @Test func requestSaysWhatTheRFCSays() throws {
        let message = STUNVector.all[0].message
        let view = try STUNMessageView(message.span.bytes)
        #expect(view.messageClass == .request)
        #expect(view.method == 1)
        #expect(view.transactionID == STUNTransactionID(high: 0xB7E7_A701, low: 0xBC34_D686_FA87_DFAE))
        #expect(view.software == "STUN test client")
        #expect(view.username == "evtj:h6vY")
        #expect(view.usernameIs(Array("evtj:h6vY".utf8)) == true)
        #expect(view.usernameIs(Array("evtj:h6vZ".utf8)) == false)
        #expect(view.priority == 0x6E00_01FF)
        #expect(view.iceControlled == 0x932F_F9B1_5126_3B36)
        #expect(view.iceControlling == nil)
        #expect(view.useCandidate == false)
        #expect(view.integrityAlgorithm == .sha1)
        #expect(view.unknownRequiredAttributes().isEmpty)
    }

    @Test func responsesCarryTheMappedAddress() throws {
        let ipv4Message = STUNVector.all[1].message
        let ipv4 = try STUNMessageView(ipv4Message.span.bytes)
        #expect(ipv4.messageClass == .success)
        #expect(ipv4.xorMappedAddress == TransportAddress("192.0.2.1", port: 32853))
        let ipv6Message = STUNVector.all[2].message
        let ipv6 = try STUNMessageView(ipv6Message.span.bytes)
        #expect(ipv6.xorMappedAddress == TransportAddress("2001:db8:1234:5678:11:2233:4455:6677", port: 32853))
    }

    @Test func longTermRequestsSayWhoAsks() throws {
        let namedMessage = STUNVector.all[3].message
        let named = try STUNMessageView(namedMessage.span.bytes)
        #expect(named.username == STUNVector.matrix)
        #expect(named.realm == "example.org")
        #expect(named.nonce == "f//499k954d6OL34oL9FSTvy64sA")
        let hashedMessage = STUNVector.all[4].message
        let hashed = try STUNMessageView(hashedMessage.span.bytes)
        #expect(hashed.userhash == stunUserhash(username: STUNVector.matrix, realm: "example.org"))
        #expect(hashed.nonce == "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA")
        #expect(hashed.integrityAlgorithm == .sha256)
    }

    @Test func printedVectorWithTheWrongLengthIsRefused() {
        let datagram = STUNVector.printedB1
        #expect(throws: STUNParseError.lengthMismatch(declared: 156, actual: 136)) {
            _ = try STUNMessageView(datagram.span.bytes).method
        }
    }

    /// MESSAGE-INTEGRITY covers padding too, so not one flipped bit gets through.
    @Test(arguments: STUNVector.all) func everyFlippedBitIsNoticed(vector: STUNVector) {
        for bit in 0..<(8 * vector.message.count) {
            var message = vector.message
            message[bit / 8] ^= 0x80 >> (bit % 8)
            #expect(!vector.isAccepted(message), "bit \(bit)")
        }
    }

    @Test(arguments: STUNVector.all) func everyTruncationIsRefused(vector: STUNVector) {
        for count in 0..<vector.message.count {
            #expect(!vector.isAccepted(Array(vector.message.prefix(count))), "\(count) bytes")
        }
        // Cut at an attribute and with a length that fits, the message parses; its integrity is gone or wrong.
        for count in stride(from: 20, to: vector.message.count, by: 4) {
            var message = Array(vector.message.prefix(count))
            message[2] = UInt8((count - 20) >> 8)
            message[3] = UInt8(truncatingIfNeeded: count - 20)
            #expect(!vector.isAccepted(message), "\(count) bytes")
        }
    }
}
