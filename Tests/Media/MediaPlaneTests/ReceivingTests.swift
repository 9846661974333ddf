import Basics
import CLinux
import MediaPlane
import Testing

/// Over real sockets on loopback.
@Suite struct ReceivingTests {
    private final class Socket {
        let descriptor: CInt

        init() throws {
            let any = TransportAddress(ipv4: 0x7F00_0001, port: 0)
            var native = cl_address(high: any.high, low: any.low, scope: 0, port: 0)
            self.descriptor = cl_udp_socket(&native, 1 << 20, 1 << 20)
            try #require(self.descriptor >= 0)
        }

        deinit { _ = cl_close(self.descriptor) }

        var address: TransportAddress {
            TransportAddress(
                ipv4: 0x7F00_0001,
                port: UInt16(truncatingIfNeeded: cl_socket_local_port(self.descriptor))
            )
        }

        /// Datagrams of as many bytes as their numbers say: the kernel puts none of them together.
        func send(_ numbers: ClosedRange<UInt8>, to address: TransportAddress) {
            guard var queue = EgressQueue(descriptors: [self.descriptor]) else {
                Issue.record("no memory")
                return
            }
            for number in numbers {
                queue.send([UInt8](repeating: number, count: Int(number)), to: address, socket: 0)
            }
            queue.flush()
        }
    }

    /// What lies in the batch, by the number in each first byte; 0 where the length is another.
    private static func numbers(_ batch: OpaquePointer, count: CInt) -> [UInt8] {
        (0..<max(0, count)).map { index in
            guard let bytes = cl_receive_bytes(batch, index) else { return 0 }
            return cl_receive_length(batch, index) == CInt(bytes[0]) ? bytes[0] : 0
        }
    }

    @Test func `what is read later lies behind what was read before, which stays`() throws {
        let (sender, receiver) = (try Socket(), try Socket())
        let batch = try #require(cl_receive_batch_make(5, 2_048))
        defer { cl_receive_batch_free(batch) }
        sender.send(1...2, to: receiver.address)
        #expect(Self.numbers(batch, count: cl_receive(receiver.descriptor, batch)) == [1, 2])
        // Nothing has come: what was read is still there.
        #expect(Self.numbers(batch, count: cl_receive_more(receiver.descriptor, batch)) == [1, 2])
        sender.send(3...7, to: receiver.address)
        #expect(Self.numbers(batch, count: cl_receive_more(receiver.descriptor, batch)) == [1, 2, 3, 4, 5])
        // There is no room for the others.
        #expect(Self.numbers(batch, count: cl_receive_more(receiver.descriptor, batch)) == [1, 2, 3, 4, 5])
        #expect(Self.numbers(batch, count: cl_receive(receiver.descriptor, batch)) == [6, 7])
        #expect(cl_receive(receiver.descriptor, batch) < 0)
        #expect(cl_receive_more(receiver.descriptor, batch) < 0)
    }
}
