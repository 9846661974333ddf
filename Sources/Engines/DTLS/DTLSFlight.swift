/// Records that wait until OpenSSL can use them. Holds at most 4 KB, for the handshake only.
struct HeldRecords {
    var changeCipherSpec: [UInt8]?
    private(set) var protected: [[UInt8]] = []

    private static let maximumCount = 3
    private static let maximumLength = 1_300

    mutating func hold(changeCipherSpec record: [UInt8]) { self.changeCipherSpec = record }

    /// The newest push out the oldest: the peer repeats what we lose.
    mutating func hold(protected record: [UInt8]) {
        guard record.count <= Self.maximumLength else { return }
        if self.protected.count == Self.maximumCount { self.protected.removeFirst() }
        self.protected.append(record)
    }

    mutating func takeProtected() -> [[UInt8]] {
        defer { self.protected = [] }
        return self.protected
    }
}

/// Puts OpenSSL's records, which come as one run of bytes, into as few datagrams as they fit in.
///
/// - Returns: also whether there is a record of a handshake among them, rather than of alerts and data only.
func packDatagrams(_ bytes: [UInt8], limit: Int) -> (datagrams: [[UInt8]], isHandshake: Bool) {
    var datagrams: [[UInt8]] = []
    var current: [UInt8] = []
    var isHandshake = false
    var offset = 0
    while offset + 13 <= bytes.count {
        let length = Int(bytes[offset + 11]) << 8 | Int(bytes[offset + 12])
        let end = min(offset + 13 + length, bytes.count)
        isHandshake = isHandshake || bytes[offset] == 20 || bytes[offset] == 22
        if !current.isEmpty, current.count + end - offset > limit {
            datagrams.append(current)
            current = []
        }
        current.append(contentsOf: bytes[offset..<end])
        offset = end
    }
    if !current.isEmpty { datagrams.append(current) }
    return (datagrams, isHandshake)
}
