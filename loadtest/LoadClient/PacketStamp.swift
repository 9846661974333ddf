import Basics

/// The time that a packet was made, in the last 16 bytes of its payload, so that whoever receives it in this process
/// knows how long it was under way.
enum PacketStamp {
    static let byteCount = 16
    /// "sluicelt": what random payloads do not end with.
    private static let mark: UInt64 = 0x736C_7569_6365_6C74

    static func write(_ instant: Instant, to payload: UnsafeMutableRawBufferPointer) {
        guard payload.count >= self.byteCount else { return }
        let end = payload.count - self.byteCount
        unsafe payload.storeBytes(of: self.mark.bigEndian, toByteOffset: end, as: UInt64.self)
        unsafe payload.storeBytes(
            of: UInt64(bitPattern: instant.nanoseconds).bigEndian,
            toByteOffset: end + 8,
            as: UInt64.self
        )
    }

    /// When the packet was made; `nil` when it was not made here.
    static func read(_ payload: UnsafeRawBufferPointer) -> Instant? {
        guard payload.count >= self.byteCount else { return nil }
        let end = payload.count - self.byteCount
        guard UInt64(bigEndian: unsafe payload.loadUnaligned(fromByteOffset: end, as: UInt64.self)) == self.mark else {
            return nil
        }
        let time = UInt64(bigEndian: unsafe payload.loadUnaligned(fromByteOffset: end + 8, as: UInt64.self))
        return Instant(nanoseconds: Int64(bitPattern: time))
    }
}
