import Basics
import CLinux
import Testing

@testable import MediaPlane

/// Real sockets on loopback: the kernel runs the program that divides RTCP from the rest.
@Suite struct DividedSocketTests {
    private static let loopback = [
        TransportAddress(ipv4: 0x7F00_0001, port: 0), TransportAddress(high: 0, low: 1, port: 0),
    ]

    private struct NoMemory: Error {}

    /// The first two bytes of each datagram that is there, in order of size.
    private static func read(_ descriptor: CInt) throws -> [Int] {
        guard let batch = ReceiveBatch() else { throw NoMemory() }
        var numbers: [Int] = []
        for index in 0..<batch.read(descriptor) {
            guard let bytes = batch.bytes(index) else { continue }
            numbers.append(Int(bytes[0]) << 8 | Int(bytes[1]))
        }
        return numbers.sorted()
    }

    @Test(arguments: Self.loopback) func `RTCP comes to a socket of its own`(
        at address: TransportAddress
    ) throws {
        let socket = try UDPSocket(binding: address)
        let rtcp = try #require(socket.rtcpDescriptor)
        #expect(cl_socket_local_port(rtcp) == CInt(socket.address.port))
        // STUN, DTLS, TURN's channels, RTP around the edges of RFC 5761 §4, and what nobody has use for.
        let media = [
            0x0001, 0x0101, 0x14FE, 0x3FFE, 0x4000, 0x40C8, 0x8000, 0x8060, 0x80BF, 0x80E0, 0x80FF, 0x906F, 0xC0C8,
        ]
        let reports = [0x80C0, 0x80C8, 0x80DF, 0x81CD, 0xBFC9]
        for datagram in media + reports {
            // Each from an address of its own: the kernel hands none over together with another.
            let sender = try UDPSocket(binding: address)
            guard var queue = EgressQueue(descriptors: [sender.descriptor]) else { throw NoMemory() }
            queue.send([UInt8(datagram >> 8), UInt8(datagram & 0xFF), 0, 0], to: socket.address, socket: 0)
            queue.flush()
        }
        #expect(try Self.read(socket.descriptor) == media)
        #expect(try Self.read(rtcp) == reports)
    }

    @Test func `how long a datagram has lain is what the kernel says, within what can be`() throws {
        let (sender, receiver) = (try UDPSocket(binding: Self.loopback[0]), try UDPSocket(binding: Self.loopback[0]))
        guard let batch = ReceiveBatch(), var queue = EgressQueue(descriptors: [sender.descriptor]) else {
            throw NoMemory()
        }
        let before = Instant(nanoseconds: cl_monotonic_nanoseconds())
        queue.send([0x80, 96, 0, 0], to: receiver.address, socket: 0)
        queue.flush()
        // On loopback what is sent is there.
        try #require(batch.read(receiver.descriptor) == 1)
        let after = Instant(nanoseconds: cl_monotonic_nanoseconds())
        let later = after + .milliseconds(900)
        let wait = batch.wait(now: later)
        // The kernel's clock is another: who is interrupted between reading the two is off by that.
        #expect(wait >= .milliseconds(700) && wait <= later - before + .milliseconds(200))
        #expect(batch.wait(now: later + .milliseconds(100)) == wait + .milliseconds(100))
        #expect(batch.wait(now: after + .seconds(60)) == .seconds(2))
        #expect(batch.wait(now: .zero) == .zero, "a clock behind the kernel's")
    }

    @Test(arguments: Self.loopback) func `an address in use is not shared with whoever has it`(
        at address: TransportAddress
    ) throws {
        let first = try UDPSocket(binding: address)
        #expect(throws: MediaPlaneError.bindFailed(first.address, errno: 98)) {
            _ = try UDPSocket(binding: first.address)
        }
    }
}
