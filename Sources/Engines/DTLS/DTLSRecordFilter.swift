import Basics

/// A record that may go on, and what its header says (RFC 6347 §4.1).
struct DTLSRecord {
    enum Content { case changeCipherSpec, alert, handshake, applicationData }

    let content: Content
    let epoch: UInt16
    /// The whole record within its datagram, header included.
    let range: Range<Int>
    /// The first byte of an unencrypted alert: 2 is fatal.
    var alertLevel: UInt8 = 0
    /// The highest `message_seq` of an unencrypted handshake record.
    var messageSequence: UInt16 = 0
}

/// Looks at every record before OpenSSL does, and refuses what OpenSSL 3.0 was attacked with (ATTACKS ):
/// undersized AEAD records, foreign epochs, contradictory or endless handshake fragments.
struct DTLSRecordFilter {
    let isServer: Bool

    private static let headerLength = 13
    /// An AEAD record has an explicit nonce and a tag.
    private static let shortestProtectedLength = 8 + 16
    /// Of a certificate message, in bytes; browsers' take 0.3 to 1 KB (ATTACKS A-09 allows 16 KiB).
    static let longestCertificate = 8_192
    private static let longestLength = 16_384 + 2_048
    /// In one datagram; a whole flight has 5. Each goes to OpenSSL by itself, and a hundred would fit.
    private static let largestRecordCount = 16

    /// The records of a datagram, in order. What follows a record with an impossible length is dropped with it, and so
    /// is what follows the sixteenth.
    func records(in datagram: RawSpan, counters: inout DTLSCounters) -> [DTLSRecord] {
        var records: [DTLSRecord] = []
        var offset = 0
        while offset < datagram.byteCount {
            guard datagram.byteCount - offset >= Self.headerLength else {
                counters.malformedRecords += 1
                break
            }
            let length = Int(datagram.uint16(at: offset + 11))
            let end = offset + Self.headerLength + length
            guard length > 0, length <= Self.longestLength, end <= datagram.byteCount else {
                counters.malformedRecords += 1
                break
            }
            guard records.count < Self.largestRecordCount else {
                counters.malformedRecords += 1
                break
            }
            if let record = self.record(in: datagram, offset..<end, counters: &counters) { records.append(record) }
            offset = end
        }
        return records
    }

    private func record(in datagram: RawSpan, _ range: Range<Int>, counters: inout DTLSCounters) -> DTLSRecord? {
        let content: DTLSRecord.Content? =
            switch datagram.uint8(at: range.lowerBound) {
            case 20: .changeCipherSpec
            case 21: .alert
            case 22: .handshake
            case 23: .applicationData
            default: nil
            }
        let version = datagram.uint16(at: range.lowerBound + 1)
        let epoch = datagram.uint16(at: range.lowerBound + 3)
        let body = range.lowerBound + Self.headerLength
        let length = range.upperBound - body
        // The first flight may say DTLS 1.0 (RFC 6347 §4.1).
        guard let content, version == 0xfefd || version == 0xfeff && epoch == 0 else {
            counters.malformedRecords += 1
            return nil
        }
        var record = DTLSRecord(content: content, epoch: epoch, range: range)
        guard epoch == 0 else {
            guard epoch == 1, length >= Self.shortestProtectedLength, content != .changeCipherSpec else {
                counters.malformedRecords += 1
                return nil
            }
            return record
        }
        switch content {
        case .changeCipherSpec:
            guard length == 1 else { break }
            return record
        case .alert:
            guard length == 2 else { break }
            record.alertLevel = datagram.uint8(at: body)
            return record
        case .handshake:
            guard let sequence = self.messageSequence(in: datagram, body..<range.upperBound) else {
                counters.refusedFragments += 1
                return nil
            }
            record.messageSequence = sequence
            return record
        case .applicationData: break
        }
        counters.malformedRecords += 1
        return nil
    }

    /// Checks the handshake fragments of a record (RFC 6347 §4.2.2).
    ///
    /// - Returns: the highest `message_seq`; `nil` when any fragment is not to be believed.
    private func messageSequence(in datagram: RawSpan, _ range: Range<Int>) -> UInt16? {
        var offset = range.lowerBound
        var highest: UInt16 = 0
        repeat {
            guard range.upperBound - offset >= 12 else { return nil }
            let type = datagram.uint8(at: offset)
            let length = Int(datagram.uint24(at: offset + 1))
            let sequence = datagram.uint16(at: offset + 4)
            let fragmentOffset = Int(datagram.uint24(at: offset + 6))
            let fragmentLength = Int(datagram.uint24(at: offset + 9))
            guard
                let (limit, sequences) = self.allowance(type), length <= limit, sequences.contains(sequence),
                fragmentLength > 0 || length == 0, fragmentOffset + fragmentLength <= length,
                offset + 12 + fragmentLength <= range.upperBound
            else { return nil }
            highest = max(highest, sequence)
            offset += 12 + fragmentLength
        } while offset < range.upperBound
        return highest
    }

    /// How long a message of the peer may be, and where in its flights it stands. OpenSSL reserves memory for a whole
    /// message when its first fragment comes, for up to ten messages ahead; this keeps the sum at 10 KB for a server, and
    /// at 16 KB for a client.
    private func allowance(_ type: UInt8) -> (length: Int, sequences: ClosedRange<UInt16>)? {
        if self.isServer {
            switch type {
            case 1: (8_192, 0...0)  // ClientHello: 1.5 KB with post-quantum key shares
            case 11: (Self.longestCertificate, 1...1)  // Certificate
            case 16: (512, 2...2)  // ClientKeyExchange
            case 15: (1_100, 3...3)  // CertificateVerify
            default: nil
            }
        } else {
            // One later when the server asks for a cookie first, so that two certificates may be begun: they are shorter.
            switch type {
            case 3: (512, 0...0)  // HelloVerifyRequest
            case 2: (1_024, 0...1)  // ServerHello
            case 11: (6_144, 1...2)  // Certificate
            case 12: (1_300, 2...3)  // ServerKeyExchange: a point and a signature, by RSA 1 KB at most
            case 13: (1_024, 3...4)  // CertificateRequest: names no authorities, since certificates sign themselves
            case 14: (0, 4...5)  // ServerHelloDone
            default: nil
            }
        }
    }
}
