import Basics
import STUN
import Testing

/// Bytes as hexadecimal text, for fixtures.
func bytes(_ hex: String) -> [UInt8] {
    let digits = hex.compactMap { $0.hexDigitValue.map(UInt8.init) }
    return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

/// One sample message of an RFC with the key that signs it.
struct STUNVector: Sendable, CustomTestStringConvertible {
    let name: String
    let message: [UInt8]
    let key: STUNIntegrityKey
    let hasFingerprint: Bool

    var testDescription: String { self.name }

    private static let icePassword = STUNIntegrityKey("VOkJxbRl1RmTxUk/WvJxBt".utf8)
    static let matrix = "\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}"

    /// RFC 5769 §2.1 to §2.4 and RFC 8489 B.1. The last is printed with a header length of 0x9C, 20 too many, and an
    /// HMAC made with it; here is the same message with the right length and the HMAC that belongs to it.
    static let all = [
        STUNVector(
            name: "RFC 5769 §2.1 request",
            message: bytes(
                """
                000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff
                80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249
                c1b571a280280004e57a3bcf
                """
            ),
            key: icePassword,
            hasFingerprint: true
        ),
        STUNVector(
            name: "RFC 5769 §2.2 IPv4 response",
            message: bytes(
                """
                0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643
                000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96
                """
            ),
            key: icePassword,
            hasFingerprint: true
        ),
        STUNVector(
            name: "RFC 5769 §2.3 IPv6 response",
            message: bytes(
                """
                010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9fa
                a5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c
                """
            ),
            key: icePassword,
            hasFingerprint: true
        ),
        STUNVector(
            name: "RFC 5769 §2.4 long-term request",
            message: bytes(
                """
                000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b900000015001c
                662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f72670000080014
                f67024656dd64a3e02b8e0712e85c9a28ca89666
                """
            ),
            key: STUNIntegrityKey(username: matrix, realm: "example.org", password: "TheMatrIX", algorithm: .sha1),
            hasFingerprint: false
        ),
        STUNVector(
            name: "RFC 8489 B.1 request, corrected",
            message: bytes(
                """
                000100882112a44278ad3433c6ad72c029da412e001e00204a3cf38fef6992bda952c6780417da0f24819415569e60b2
                05c46e41407f1704001500296f624d61744a6f733241414143662f2f3439396b39353464364f4c33346f4c3946535476
                79363473410000000014000b6578616d706c652e6f726700001c0020234112fbd4e27f983eb4032836f998216f5b23f8
                d927753fbc4f882bfbdf0dec
                """
            ),
            key: STUNIntegrityKey(username: matrix, realm: "example.org", password: "TheMatrIX", algorithm: .sha256),
            hasFingerprint: false
        ),
    ]

    /// RFC 8489 B.1 as it is printed.
    static let printedB1 = bytes(
        """
        0001009c2112a44278ad3433c6ad72c029da412e001e00204a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704
        001500296f624d61744a6f733241414143662f2f3439396b39353464364f4c33346f4c394653547679363473410000000014000b6578616d
        706c652e6f726700001c0020e4686c8f0edeb59013e07090010a93efccbccc544c0a45d9f830aa6d6f735a01
        """
    )

    /// Whether a receiver that asks for what the sample has would take these bytes.
    func isAccepted(_ message: [UInt8]) -> Bool {
        do {
            let view = try STUNMessageView(message.span.bytes)
            return view.verifyIntegrity(key: self.key) && (!self.hasFingerprint || view.fingerprintIsValid)
        } catch {
            return false
        }
    }
}

/// A message of the given attributes, with a right length and no integrity.
func message(type: UInt16 = 0x0001, _ attributes: [(UInt16, [UInt8])]) -> [UInt8] {
    var writer = ByteWriter()
    writer.write(type)
    writer.write(UInt16(0))
    writer.write(UInt32(0x2112_A442))
    writer.write(bytes: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    for (type, value) in attributes {
        writer.write(type)
        writer.write(UInt16(value.count))
        writer.write(bytes: value)
        writer.pad(toMultipleOf: 4)
    }
    writer.patch(UInt16(writer.count - 20), at: 2)
    return writer.bytes
}
