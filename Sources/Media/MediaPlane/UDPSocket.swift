package import Basics
import CLinux

/// A bound, non-blocking UDP socket, closed exactly once; or two at one address, of which the second takes RTCP.
///
/// Subscribers' feedback and requests are most of what comes to a worker. One that has more to do than it can then loses
/// those, which come again, and no media: each lost packet of a publisher would be asked for by all its subscribers, again
/// and again, and leave even less time. Nor does it lose checks of ICE, without which sessions end.
final class UDPSocket: Sendable {
    /// For sending too.
    let descriptor: CInt
    /// `nil` = `descriptor` has RTCP too.
    let rtcpDescriptor: CInt?
    let address: TransportAddress
    let receiveBufferByteCount: Int
    let sendBufferByteCount: Int

    /// Asked for; the kernel cuts it at `net.core.rmem_max` and `wmem_max`, unless the process has CAP_NET_ADMIN. At 10,000
    /// packets a second 4 MiB are about 0.3 s.
    private static let bufferByteCount: CInt = 4 << 20
    /// What lies for long is of no use: the kernel counts a small datagram as about 1 kB, of which it doubles what is asked.
    private static let rtcpBufferByteCount: CInt = 1 << 20

    init(binding address: TransportAddress) throws(MediaPlaneError) {
        var native = cl_address(high: address.high, low: address.low, scope: address.scope, port: address.port)
        var rtcp: CInt = -1
        let descriptor = unsafe cl_udp_sockets(
            &native,
            Self.bufferByteCount,
            Self.rtcpBufferByteCount,
            Self.bufferByteCount,
            &rtcp
        )
        guard descriptor >= 0 else { throw .bindFailed(address, errno: -descriptor) }
        self.descriptor = descriptor
        self.rtcpDescriptor = rtcp >= 0 ? rtcp : nil
        let port = UInt16(truncatingIfNeeded: cl_socket_local_port(descriptor))
        self.address = address.withPort(port)
        self.receiveBufferByteCount = Int(cl_socket_receive_buffer(descriptor))
        self.sendBufferByteCount = Int(cl_socket_send_buffer(descriptor))
    }

    deinit {
        _ = cl_close(self.descriptor)
        if let rtcpDescriptor { _ = cl_close(rtcpDescriptor) }
    }

    /// From now on the kernel tells with which ECN bits datagrams come; where it cannot, all are `notCapable`.
    func receiveMarks() {
        _ = cl_receive_marks(self.descriptor)
        if let rtcpDescriptor { _ = cl_receive_marks(rtcpDescriptor) }
    }

    /// The addresses of this machine's interfaces, without link-local ones, which no answer may carry (RFC 8445 §5.1.1.1).
    static func interfaceAddresses() -> [TransportAddress] {
        var native = [cl_address](repeating: cl_address(), count: 64)
        let count = unsafe native.withUnsafeMutableBufferPointer { buffer in
            unsafe cl_interface_addresses(buffer.baseAddress, CInt(buffer.count))
        }
        return native.prefix(Int(max(0, count)))
            .map { TransportAddress(high: $0.high, low: $0.low, port: 0, scope: $0.scope) }
            .filter { !$0.isLinkLocal }
    }
}

/// Why the media plane could not start.
package enum MediaPlaneError: Error, Equatable {
    case bindFailed(TransportAddress, errno: Int32)
    /// `media.host` names no address that can be bound.
    case noAddress
    /// `media.crypto` asks for the multi-buffer library, which can't be used; in words, why.
    case noMultiBufferLibrary(reason: String)
    /// epoll, eventfd, threads or memory.
    case systemRefused(call: String, errno: Int32)
}
