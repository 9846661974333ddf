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

    /// Made with Python's hmac: keys shorter than, as long as and longer than a block of the hash (RFC 2104 §2). ICE
    /// passwords may have 256 characters.
    @Test(
        arguments: [
            (0, STUNIntegrityAlgorithm.sha1, "723d0caa4a7a70690a42aee251c1259d51ba8c5a"),
            (0, STUNIntegrityAlgorithm.sha256, "80a52532ebce23cb4597852b75080a8a0a797aa770fd97c802c39665a89da428"),
            (1, STUNIntegrityAlgorithm.sha1, "ec601e2fd695af088febb133f321e7caac07650d"),
            (1, STUNIntegrityAlgorithm.sha256, "3d276808159201c0c891fc7b43782ad0f95e055279c6012cf51446ab6a9feefb"),
            (63, STUNIntegrityAlgorithm.sha1, "5448206a4b5744704c19f48e36b7c8392504e541"),
            (63, STUNIntegrityAlgorithm.sha256, "ef0d62591b0930d911edd2d904aff6994b0b41e3b62b51745dc54f88b259f133"),
            (64, STUNIntegrityAlgorithm.sha1, "7f5faa07b6a587b22e716d866a4469e371ab4dbb"),
            (64, STUNIntegrityAlgorithm.sha256, "45413ceef2c6604c963eeb42724bb7b9c527e474cf4c93de2e28e341e85416b8"),
            (65, STUNIntegrityAlgorithm.sha1, "2d8fac31783b540f4a8a56f582e924d74ee04df2"),
            (65, STUNIntegrityAlgorithm.sha256, "34a7b32a83a5e8c5b97f7acc0d7d92f4da7b40a62b4510ac2bb5d937a885ee06"),
            (256, STUNIntegrityAlgorithm.sha1, "a02cfd952e35daad19a6acb0fe461b9f90b9ec0f"),
            (256, STUNIntegrityAlgorithm.sha256, "484a7d19b00640ace025195227ed428e38d5ede25ae08792b30d9a09a8897666"),
        ]
    ) func keysOfAnyLength(keyLength: Int, algorithm: STUNIntegrityAlgorithm, mac: String) throws {
        let key = (0..<keyLength).map { UInt8(truncatingIfNeeded: $0 * 7 + 3) }
        let id = STUNTransactionID(high: 0x0001_0203, low: 0x0405_0607_0809_0A0B)
        var builder = STUNMessageBuilder(.request, transactionID: id)
        builder.addPriority(7)
        let datagram = builder.finish(key: STUNIntegrityKey(key), algorithm: algorithm, fingerprint: false)
        #expect(Array(datagram.dropFirst(32)) == bytes(mac))
        #expect(try STUNMessageView(datagram.span.bytes).verifyIntegrity(key: key) == true)
    }
}
