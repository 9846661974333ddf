package import Basics
package import MediaControl
package import PeerSession

/// A client of a `RouterHarness`: its end of ICE, DTLS and SRTP.
package final class RouterClient {
    package let id: SessionID
    package let address: TransportAddress
    package var peer: PeerSession
    package let configuration: SessionConfiguration
    package internal(set) var isConnected = false
    /// Of the media packet that it was sent last.
    package private(set) var lastReceived: (ssrc: UInt32, sequence: UInt16)?

    init(
        id: SessionID,
        address: TransportAddress,
        peer: consuming PeerSession,
        configuration: SessionConfiguration
    ) {
        self.id = id
        self.address = address
        self.peer = peer
        self.configuration = configuration
    }

    /// Seals an RTP packet in place: header and payload stand at the front of `buffer`, with room for the tag behind.
    ///
    /// - Returns: the datagram's length; -1 when the client has no keys or there is no room.
    package func seal(
        _ buffer: UnsafeMutableRawBufferPointer,
        headerLength: Int,
        payloadLength: Int,
        rolloverCounter: UInt32 = 0
    ) -> Int {
        let payload = UnsafeRawBufferPointer(rebasing: buffer[headerLength..<(headerLength + payloadLength)])
        return self.peer.sealRTP(
            headerLength: headerLength,
            payload: payload,
            rolloverCounter: rolloverCounter,
            into: buffer
        )
    }

    /// Takes a datagram of the router's.
    func receive(_ datagram: [UInt8], from source: TransportAddress, at now: Instant) {
        var datagram = datagram
        datagram.withUnsafeMutableBytes { bytes in
            guard case .rtp = self.peer.receive(bytes, from: source, to: self.address, at: now) else { return }
            self.lastReceived = (
                bytes[8..<12].reduce(0) { $0 << 8 | UInt32($1) }, UInt16(bytes[2]) << 8 | UInt16(bytes[3])
            )
        }
    }
}
