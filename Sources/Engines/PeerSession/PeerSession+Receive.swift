package import Basics
import DTLS
import ICE
import RTP
package import SRTP

extension PeerSession {
    /// Takes one datagram. RTP and RTCP are opened in place, in the caller's buffer.
    ///
    /// - Parameter local: the client's own address that it came to; the server does not need it.
    package mutating func receive(
        _ datagram: UnsafeMutableRawBufferPointer,
        from source: TransportAddress,
        to local: TransportAddress? = nil,
        at now: Instant
    ) -> Received {
        guard !self.hasEnded else { return .dropped(.unknownSource) }
        let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(datagram))
        switch classifyDatagram(bytes) {
        case .stun:
            self.endIfConsentIsOver(at: now)
            guard !self.hasEnded else { return .handled }
            let outputCount = self.outputs.count
            let received = self.receiveCheck(bytes, from: source, to: local, at: now)
            self.selectAgain(ifNominatedBy: bytes, from: source, outputsSince: outputCount)
            return received
        case .dtls:
            guard self.isValidated(source) else { return .dropped(.unknownSource) }
            guard bytes.byteCount <= Self.largestHandshakeDatagram else { return .dropped(.malformed) }
            // Renegotiation is refused, so this starts another association: of a client that restarted on the same port,
            // or of a stranger. An answer from the finished one would only confuse the former (RFC 6347 §4.2.8).
            guard !self.isConnected || !Self.isClientHello(bytes) else { return .dropped(.malformed) }
            self.receiveHandshake(bytes, at: now)
            return .handled
        case .rtp:
            guard self.isValidated(source) else { return .dropped(.unknownSource) }
            return unsafe self.openRTP(datagram, at: now)
        case .rtcp:
            guard self.isValidated(source) else { return .dropped(.unknownSource) }
            return unsafe self.openRTCP(datagram)
        default:
            return .dropped(.malformed)
        }
    }

    /// Whether this peer's DTLS and SRTP may come from an address.
    ///
    /// Inlined: each datagram asks, and to lend the session to a function Swift 6.3 copies it.
    @inline(__always)
    package func isValidated(_ source: TransportAddress) -> Bool {
        // The selected address is asked for first: it is nearly always the one.
        if self.selected == source { return true }
        return self.ice.lite?.isValidated(source) ?? self.answeredAddresses.contains(source)
    }

    /// A plain-text handshake record that starts with a ClientHello.
    private static func isClientHello(_ datagram: RawSpan) -> Bool {
        datagram.byteCount > 13 && datagram.uint8(at: 0) == 22 && datagram.uint16(at: 3) == 0
            && datagram.uint8(at: 13) == 1
    }

    private mutating func openRTP(_ packet: UnsafeMutableRawBufferPointer, at now: Instant) -> Received {
        guard let header = unsafe RTPPacketView(headerOnly: RawSpan(_unsafeBytes: UnsafeRawBufferPointer(packet)))
        else { return .dropped(.malformed) }
        let ssrc = header.ssrc
        let headerLength = header.headerLength
        guard self.keys != nil else { return .dropped(.beforeKeys) }
        if let index = self.streams.index(of: ssrc) {
            let length = self.streams.withReplayState(at: index, now: now) { replay in
                unsafe self.keys?.receiver.openRTP(packet, headerLength: headerLength, stream: &replay) ?? -1
            }
            guard length >= 0 else { return .dropped(Self.dropReason(length)) }
            self.confirmHandshake()
            return .rtp(length: length, stream: index)
        }
        var replay = self.streams.initialState(of: ssrc)
        let length = unsafe self.keys?.receiver.openRTP(packet, headerLength: headerLength, stream: &replay) ?? -1
        guard length >= 0 else { return .dropped(Self.dropReason(length)) }
        self.confirmHandshake()
        guard let index = self.streams.add(replay, ssrc: ssrc, now: now) else { return .dropped(.tooManySSRCs) }
        return .rtp(length: length, stream: index)
    }

    private mutating func openRTCP(_ packet: UnsafeMutableRawBufferPointer) -> Received {
        guard self.keys != nil else { return .dropped(.beforeKeys) }
        let length = unsafe self.keys?.receiver.openRTCP(packet) ?? -1
        guard length >= 0 else { return .dropped(Self.dropReason(length)) }
        self.confirmHandshake()
        return .rtcp(length: length)
    }

    /// The peer has the keys, so our last flight has arrived and need not be sent again.
    @inline(__always)
    private mutating func confirmHandshake() {
        guard self.dtlsDeadline != nil else { return }
        self.dtls?.confirm()
        self.dtlsDeadline = nil
    }

    private static func dropReason(_ code: Int) -> DropReason {
        switch SRTPOpenError(rawValue: code) {
        case .replayed: .replayed
        case .authentication: .authentication
        default: .malformed
        }
    }

    // MARK: Sending

    /// Seals an RTP packet into `slot`: the header as it lies at its front, the payload straight from where it is.
    /// Returns the length to send; -1 when there are no keys or there is no room.
    package mutating func sealRTP(
        headerLength: Int,
        payload: UnsafeRawBufferPointer,
        rolloverCounter: UInt32,
        into slot: UnsafeMutableRawBufferPointer
    ) -> Int {
        guard headerLength <= slot.count else { return -1 }
        return unsafe self.keys?.sender.sealRTP(
            header: UnsafeRawBufferPointer(rebasing: slot[0..<headerLength]),
            payload: payload,
            rolloverCounter: rolloverCounter,
            into: slot
        ) ?? -1
    }

    /// Seals several RTP packets where they are to be. Returns whether all were: else none of them may be sent.
    package mutating func sealRTP(_ packets: UnsafeBufferPointer<UnsealedPacket>) -> Bool {
        unsafe self.keys?.sender.sealRTP(packets) ?? false
    }

    /// What packets are sealed with, as an address to fetch memory by; `nil` before there are keys.
    package mutating func sealingKey() -> UnsafeRawPointer? { unsafe self.keys?.sender.key() }

    /// Seals a compound RTCP packet of `length` bytes in place. Returns the length to send, or -1.
    package mutating func sealRTCP(length: Int, in slot: UnsafeMutableRawBufferPointer) -> Int {
        unsafe self.keys?.sender.sealRTCP(slot, length: length) ?? -1
    }
}
