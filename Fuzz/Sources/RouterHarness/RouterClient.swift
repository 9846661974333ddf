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
            headerLength: headerLength, payload: payload, rolloverCounter: rolloverCounter, into: buffer)
    }
}
