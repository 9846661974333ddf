import Basics

/// Whose Binding request a datagram is: the receiver's own username fragment as a number, for one hash look-up.
///
/// Cheap on purpose, because anybody can send these (ATTACKS ): no HMAC, no CRC, no allocation. It proves
/// nothing; the session that is found by it authenticates the request.
///
/// - Returns: the 8 bytes of USERNAME before the colon, big-endian. `nil` for everything but a well-formed Binding
///   request whose USERNAME has exactly 8 bytes there.
package func localUsernameFragmentKey(of datagram: RawSpan) -> UInt64? {
    // Most of what is not a Binding request ends here.
    guard datagram.byteCount >= STUNHeader.byteCount, datagram.uint16(at: 0) == STUNHeader.bindingMethod else {
        return nil
    }
    do {
        let message = try STUNMessageView(datagram)
        guard let range = message.usernameRange, range.count >= 9 else { return nil }
        let colon = UInt8(ascii: ":")
        guard datagram.uint8(at: range.lowerBound + 8) == colon else { return nil }
        for offset in range.lowerBound..<(range.lowerBound + 8) where datagram.uint8(at: offset) == colon { return nil }
        return datagram.uint64(at: range.lowerBound)
    } catch {
        return nil
    }
}
