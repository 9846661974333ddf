import Basics
import FuzzEntry
import ICE
import STUN

/// STUN messages: every accessor, and the server's ICE agent behind them.
///
/// The first byte of an input has switches, the rest is a datagram. `sign` makes the fuzzer's attributes part of a
/// message with the right credentials, so that it comes past MESSAGE-INTEGRITY.
@main
enum FuzzSTUN {
    static let key = STUNIntegrityKey("serverPasswordOf24Chars+".utf8)

    static func main() {
        fuzz { bytes, count in
            var input = FuzzInput(bytes, count)
            let switches = input.byte()
            let datagram = input.takeAll()
            FuzzSTUN.read(datagram)
            if switches & 1 == 0 {
                FuzzSTUN.serve(datagram)
            } else {
                let signed = FuzzSTUN.sign(datagram, nominates: switches & 2 != 0)
                signed.withUnsafeBytes {
                    FuzzSTUN.read($0)
                    FuzzSTUN.serve($0)
                }
            }
            return 0
        }
    }

    static func read(_ datagram: UnsafeRawBufferPointer) {
        let span = RawSpan(_unsafeBytes: datagram)
        let fragmentKey = localUsernameFragmentKey(of: span)
        do {
            let message = try STUNMessageView(span)
            for type in UInt16.zero..<0x60 {
                // The comprehension-required ones that have a meaning, and the optional ones.
                let type = type < 0x30 ? type : 0x8000 + type - 0x30
                Self.checkRange(message.attribute(STUNAttributeType(rawValue: type)), datagram.count)
            }
            Self.checkRange(message.usernameRange, datagram.count)
            if fragmentKey != nil { require(message.usernameRange != nil, "a key comes of a username") }
            require(message.unknownRequiredAttributes().count <= 8, "unknown attributes are bounded")
            require(message.unknownAttributes().count <= 32, "listed attributes are bounded")
            require(message.errorCode.map { (300...699).contains($0) } ?? true, "error codes are 300 to 699")
            let texts = [message.software, message.realm, message.nonce, message.username]
            // Each bad byte becomes a replacement character of three.
            require(texts.allSatisfy { ($0?.utf8.count ?? 0) <= 3 * 763 }, "texts are bounded")
            _ = (message.useCandidate, message.priority, message.iceControlled, message.iceControlling)
            _ = (message.mappedAddress?.description, message.xorMappedAddress?.description, message.userhash)
            _ = (message.fingerprintIsValid, message.verifyIntegrity(key: Self.key), message.integrityAlgorithm)
            _ = message.usernameIs(Array("SRVRfrag:cli1".utf8))
            Self.checkRoundTrip(message)
        } catch {
            require(fragmentKey == nil, "what is not STUN has no key")
        }
    }

    private static func checkRange(_ range: Range<Int>?, _ count: Int) {
        guard let range else { return }
        require(range.lowerBound >= 24 && range.upperBound <= count, "an attribute lies within its message")
    }

    /// What the builder writes of a message's values reads the same.
    private static func checkRoundTrip(_ message: borrowing STUNMessageView) {
        var builder = STUNMessageBuilder(
            message.messageClass,
            method: message.method,
            transactionID: message.transactionID
        )
        let address = message.xorMappedAddress
        if let address { builder.addXORMappedAddress(address) }
        if let priority = message.priority { builder.addPriority(priority) }
        if let code = message.errorCode { builder.addErrorCode(code, reason: "because") }
        let text = builder.finish(key: Self.key)
        text.withUnsafeBytes { bytes in
            do {
                let copy = try STUNMessageView(RawSpan(_unsafeBytes: bytes))
                require(copy.messageClass == message.messageClass && copy.method == message.method, "types survive")
                require(copy.transactionID == message.transactionID, "transaction ids survive")
                require(copy.xorMappedAddress == address, "addresses survive")
                require(copy.priority == message.priority && copy.errorCode == message.errorCode, "values survive")
                require(copy.fingerprintIsValid && copy.verifyIntegrity(key: Self.key), "our own messages verify")
            } catch {
                fatalError("our own message does not parse: \(error)")
            }
        }
    }

    /// The datagram's attributes in a check that has the right name and password.
    private static func sign(_ datagram: UnsafeRawBufferPointer, nominates: Bool) -> [UInt8] {
        var builder = STUNMessageBuilder(.request, transactionID: STUNTransactionID(high: 1, low: 2))
        builder.addUsername("SRVRfrag:cli1".utf8)
        if nominates { builder.addUseCandidate() }
        var input = FuzzInput(datagram.baseAddress?.assumingMemoryBound(to: UInt8.self), datagram.count)
        while !input.isEmpty {
            let type = input.word()
            builder.add(STUNAttributeType(rawValue: type), Array(input.take(Int(input.byte()))))
        }
        return builder.finish(key: Self.key)
    }

    private static func serve(_ datagram: UnsafeRawBufferPointer) {
        var agent = ICELiteAgent(
            local: ICECredentials(usernameFragment: "SRVRfrag", password: Redacted("serverPasswordOf24Chars+")),
            remote: ICECredentials(usernameFragment: "cli1", password: Redacted("clientPasswordOf24Chars+"))
        )
        for port in UInt16(1)...5 {
            let source = TransportAddress(ipv4: 0xC000_0201, port: port)
            let now = Instant(nanoseconds: Int64(port) * 1_000_000_000)
            let result = agent.handle(RawSpan(_unsafeBytes: datagram), from: source, at: now)
            require((result.response?.count ?? 0) <= datagram.count + 128, "a reply is no amplifier")
            require(agent.validatedAddresses.count <= ICELiteAgent.largestTupleCount, "addresses are bounded")
            if result.event != .none { require(result.response != nil, "what changes state is answered") }
        }
    }
}
