import CLinux

/// How often a worker's send calls failed, by errno: not how many datagrams that cost. A call that is tried again counts
/// too, since what it reports may be an earlier datagram's (ICMP).
package struct SocketErrors: BitwiseCopyable, Sendable, Equatable {
    package var again: UInt64 = 0
    package var noBuffers: UInt64 = 0
    package var noMemory: UInt64 = 0
    package var tooLong: UInt64 = 0
    package var connectionRefused: UInt64 = 0
    package var hostUnreachable: UInt64 = 0
    package var networkUnreachable: UInt64 = 0
    package var notPermitted: UInt64 = 0
    package var other: UInt64 = 0

    package init() {}

    /// By the names of errno; `other` = all that have none here.
    package var byName: [(name: String, count: UInt64)] {
        [
            ("EAGAIN", self.again), ("ENOBUFS", self.noBuffers), ("ENOMEM", self.noMemory), ("EMSGSIZE", self.tooLong),
            ("ECONNREFUSED", self.connectionRefused), ("EHOSTUNREACH", self.hostUnreachable),
            ("ENETUNREACH", self.networkUnreachable), ("EPERM", self.notPermitted), ("other", self.other),
        ]
    }

    mutating func add(_ errors: cl_send_errors) {
        self.again &+= UInt64(errors.again)
        self.noBuffers &+= UInt64(errors.no_buffers)
        self.noMemory &+= UInt64(errors.no_memory)
        self.tooLong &+= UInt64(errors.too_long)
        self.connectionRefused &+= UInt64(errors.connection_refused)
        self.hostUnreachable &+= UInt64(errors.host_unreachable)
        self.networkUnreachable &+= UInt64(errors.network_unreachable)
        self.notPermitted &+= UInt64(errors.not_permitted)
        self.other &+= UInt64(errors.other)
    }
}
