import Basics
import CLinux
import Glibc
import MediaPlane
import Testing

/// Over real sockets on loopback: what the kernel makes of a batch.
@Suite struct EgressQueueTests {
    /// A bound socket, closed with the test.
    private final class Socket {
        let descriptor: CInt
        let address: TransportAddress

        init(isIPv4: Bool = true) throws {
            let local =
                isIPv4 ? TransportAddress(ipv4: 0x7F00_0001, port: 0) : TransportAddress(high: 0, low: 1, port: 0)
            var any = cl_address(high: local.high, low: local.low, scope: 0, port: 0)
            let descriptor = cl_udp_socket(&any, 1 << 20, 1 << 20)
            try #require(descriptor >= 0)
            self.descriptor = descriptor
            self.address = local.withPort(UInt16(truncatingIfNeeded: cl_socket_local_port(descriptor)))
        }

        deinit { _ = cl_close(self.descriptor) }

        /// Everything that has arrived: the number in the first two bytes, and the length.
        func received() -> [[Int]] { self.receivedWithMarks().map { Array($0.prefix(2)) } }

        /// As above, with the ECN bits.
        func receivedWithMarks() -> [[Int]] {
            guard let batch = cl_receive_batch_make(64, 65_536) else { return [] }
            defer { cl_receive_batch_free(batch) }
            var result: [[Int]] = []
            while true {
                let count = cl_receive(self.descriptor, batch)
                guard count > 0 else { return result }
                for index in 0..<count {
                    guard let bytes = cl_receive_bytes(batch, index) else { continue }
                    let number = Int(bytes[0]) << 8 | Int(bytes[1])
                    result.append([number, Int(cl_receive_length(batch, index)), Int(cl_receive_mark(batch, index))])
                }
            }
        }
    }

    private struct NoMemory: Error {}

    private static func makeQueue(_ sender: Socket) throws -> EgressQueue {
        guard let queue = EgressQueue(descriptors: [sender.descriptor]) else { throw NoMemory() }
        return queue
    }

    private typealias Chains = [TransportAddress: EgressQueue.Chain]

    private static func queue(
        _ number: Int,
        length: Int,
        to address: TransportAddress,
        in egress: inout EgressQueue,
        _ chains: inout Chains
    ) {
        let slot = egress.nextSlot()
        for index in 0..<length { slot[index] = UInt8(truncatingIfNeeded: number) }
        slot[0] = UInt8(truncatingIfNeeded: number >> 8)
        slot[1] = UInt8(truncatingIfNeeded: number)
        egress.commit(length: length, to: address, socket: 0, chain: &chains[address, default: EgressQueue.Chain()])
    }

    @Test func `datagrams of one destination arrive whole and in order, in fewer messages`() throws {
        let sender = try Socket()
        let receivers = try (0..<3).map { _ in try Socket() }
        var egress = try Self.makeQueue(sender)
        var chains = Chains()
        // As a frame leaves: equal sizes, some a byte longer, a short one at the end; the subscribers take turns.
        let lengths = [1_100, 1_100, 1_100, 1_101, 1_101, 420, 1_100, 160, 160, 160]
        for (number, length) in lengths.enumerated() {
            for receiver in receivers { Self.queue(number, length: length, to: receiver.address, in: &egress, &chains) }
        }
        egress.flush()
        let expected = lengths.enumerated().map { [$0.offset, $0.element] }
        for receiver in receivers { #expect(receiver.received() == expected) }
        let (sent, messages, refused) = (egress.sentCount, egress.messageCount, egress.refusedCount)
        #expect(sent == 30)
        #expect(refused == 0)
        // Runs: 3 x 1,100; 2 x 1,101 and 420; 1,100 and 160; 2 x 160. A kernel without UDP_SEGMENT takes 30.
        let apart = egress.apartCount
        #expect(messages == 12 || apart > 0)
    }

    @Test func `what is taken back does not leave, and what came before it does`() throws {
        let sender = try Socket()
        let receivers = try (0..<2).map { _ in try Socket() }
        for before in [0, 1, 3] {
            var egress = try Self.makeQueue(sender)
            var chains = Chains()
            for receiver in receivers { chains[receiver.address] = EgressQueue.Chain() }
            let first = receivers[0].address
            for number in 0..<before { Self.queue(number, length: 500, to: first, in: &egress, &chains) }
            Self.queue(50, length: 300, to: receivers[1].address, in: &egress, &chains)
            var chain = try #require(chains[first])
            let mark = egress.mark(chain)
            for number in 60..<63 { Self.queue(number, length: 400 + number, to: first, in: &egress, &chains) }
            chain = try #require(chains[first])
            egress.takeBack(to: mark, chain: &chain)
            chains[first] = chain
            Self.queue(70, length: 500, to: first, in: &egress, &chains)
            egress.flush()
            #expect(receivers[0].received() == (0..<before).map { [$0, 500] } + [[70, 500]], "\(before) before")
            #expect(receivers[1].received() == [[50, 300]])
            let (sent, bytes) = (egress.sentCount, egress.sentByteCount)
            #expect(sent == UInt64(before + 2))
            #expect(bytes == UInt64(500 * before + 800))
        }
    }

    @Test func `more datagrams for one destination than a message may have`() throws {
        let sender = try Socket()
        let receiver = try Socket()
        var egress = try Self.makeQueue(sender)
        var chains = Chains()
        for number in 0..<300 { Self.queue(number, length: 200, to: receiver.address, in: &egress, &chains) }
        egress.flush()
        #expect(receiver.received() == (0..<300).map { [$0, 200] })
    }

    @Test func `what left as one message is read as one, and taken apart`() throws {
        let sender = try Socket()
        let receiver = try Socket()
        var egress = try Self.makeQueue(sender)
        var chains = Chains()
        for number in 0..<20 {
            Self.queue(number, length: number == 19 ? 70 : 900, to: receiver.address, in: &egress, &chains)
        }
        egress.flush()
        // Room for one message only.
        let batch = try #require(cl_receive_batch_make(1, 65_536))
        defer { cl_receive_batch_free(batch) }
        let count = cl_receive(receiver.descriptor, batch)
        // A kernel before 5.0 hands them over one by one.
        #expect(count == 20 || count == 1)
        for index in 0..<count {
            let bytes = try #require(cl_receive_bytes(batch, index))
            #expect(bytes[1] == UInt8(index))
            #expect(cl_receive_length(batch, index) == (index == 19 ? 70 : 900))
            var source = cl_address()
            cl_receive_source(batch, index, &source)
            #expect(source.port == sender.address.port)
            #expect(cl_receive_time(batch, index) > 0)
        }
    }

    @Test func `large datagrams fill messages up to the kernel's limit and not beyond`() throws {
        let sender = try Socket()
        let receiver = try Socket()
        var egress = try Self.makeQueue(sender)
        var chains = Chains()
        for number in 0..<64 { Self.queue(number, length: 1_500, to: receiver.address, in: &egress, &chains) }
        egress.flush()
        #expect(receiver.received() == (0..<64).map { [$0, 1_500] })
        let refused = egress.refusedCount
        #expect(refused == 0)
    }

    @Test func `a destination that cannot be reached does not cost the others their datagrams`() throws {
        let sender = try Socket()
        let receiver = try Socket()
        var egress = try Self.makeQueue(sender)
        var chains = Chains()
        // Port 0 is refused by sendto.
        let nowhere = TransportAddress(ipv4: 0x7F00_0001, port: 0)
        for number in 0..<8 {
            Self.queue(number, length: 100, to: nowhere, in: &egress, &chains)
            Self.queue(number, length: 100, to: receiver.address, in: &egress, &chains)
        }
        egress.flush()
        #expect(receiver.received().map { $0[0] } == Array(0..<8))
        let (sent, refused, errors) = (egress.sentCount, egress.refusedCount, egress.errors)
        #expect(sent == 8)
        #expect(refused == 8)
        // EINVAL, of the message and of each of its datagrams, or of the datagrams only.
        #expect(errors.other >= 8)
    }

    @Test func `a refusal that an earlier datagram met is counted, and costs the next ones nothing`() throws {
        let sender = try Socket()
        let receiver = try Socket()
        // Only a connected socket hears of ICMP; nobody listens there any more.
        let gone = try Socket().address
        var remote = sockaddr_in()
        remote.sin_family = sa_family_t(AF_INET)
        remote.sin_port = gone.port.bigEndian
        remote.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let isConnected = withUnsafeBytes(of: &remote) {
            connect(sender.descriptor, $0.assumingMemoryBound(to: sockaddr.self).baseAddress, socklen_t($0.count))
        }
        try #require(isConnected == 0)
        var egress = try Self.makeQueue(sender)
        var chains = Chains()
        Self.queue(0, length: 100, to: gone, in: &egress, &chains)
        egress.flush()
        for number in 1..<5 { Self.queue(number, length: 100, to: receiver.address, in: &egress, &chains) }
        egress.flush()
        #expect(receiver.received().map { $0[0] } == [1, 2, 3, 4])
        let (refused, errors) = (egress.refusedCount, egress.errors)
        #expect(refused == 0)
        var expected = SocketErrors()
        expected.connectionRefused = 1
        #expect(errors == expected)
    }

    @Test func `what is too long for a datagram is dropped, and counted by its error`() throws {
        let sender = try Socket()
        let receiver = try Socket()
        let batch = try #require(cl_send_batch_make(2, 70_000))
        defer { cl_send_batch_free(batch) }
        var address = cl_address(
            high: receiver.address.high,
            low: receiver.address.low,
            scope: 0,
            port: receiver.address.port
        )
        for (index, length) in [66_000, 100].enumerated() {
            memset(cl_send_bytes(batch, CInt(index)), 0, length)
            cl_send_begin(batch, CInt(index), sender.descriptor, &address, CInt(length))
        }
        var result = cl_send_result()
        cl_send(batch, &result)
        #expect(result.sent == 1)
        #expect(result.refused == 1)
        #expect(result.errors.too_long == 1)
        #expect(receiver.received() == [[0, 100]])
    }

    @Test func `a queue that is full is flushed, and later batches are not mixed with it`() throws {
        let sender = try Socket()
        let receivers = try (0..<2).map { _ in try Socket() }
        var egress = try Self.makeQueue(sender)
        var chains = Chains()
        var arrived: [[Int]] = [[], []]
        for number in 0..<5_000 {
            Self.queue(number, length: 64, to: receivers[number % 2].address, in: &egress, &chains)
            if number % 500 == 499 {
                egress.flush()
                for index in 0..<2 { arrived[index] += receivers[index].received().map { $0[0] } }
            }
        }
        #expect(arrived[0] == Array(stride(from: 0, to: 5_000, by: 2)))
        #expect(arrived[1] == Array(stride(from: 1, to: 5_000, by: 2)))
    }

    @Test func `a datagram that is a little too short for its message can be padded, and no other`() throws {
        let sender = try Socket()
        let receiver = try Socket()
        var egress = try Self.makeQueue(sender)
        var chains = Chains()
        func padding(_ length: Int) -> Int {
            egress.padding(for: length, in: chains[receiver.address] ?? EgressQueue.Chain())
        }
        // Nothing waits.
        #expect(padding(1_100) == 0)
        Self.queue(0, length: 1_100, to: receiver.address, in: &egress, &chains)
        let cases = [(1_100, 0), (1_099, 1), (1_090, 10), (980, 120), (970, 0), (160, 0), (1_101, 0)]
        for (length, expected) in cases { #expect(padding(length) == expected, "\(length)") }
        // A shorter one ends the message.
        Self.queue(1, length: 300, to: receiver.address, in: &egress, &chains)
        #expect(padding(299) == 0)
        Self.queue(2, length: 160, to: receiver.address, in: &egress, &chains)
        #expect(padding(150) == 10)
        // A longer one begins the next.
        Self.queue(3, length: 170, to: receiver.address, in: &egress, &chains)
        #expect(padding(160) == 10)
        // What has left has left.
        egress.flush()
        #expect(padding(160) == 0)
    }

    @Test func `without segmentation everything leaves one by one`() throws {
        let batch = try #require(cl_send_batch_make(8, 1_536))
        defer { cl_send_batch_free(batch) }
        cl_send_use_segmentation(batch, 0)
        let sender = try Socket()
        let receiver = try Socket()
        let address = receiver.address
        var to = cl_address(high: address.high, low: address.low, scope: 0, port: address.port)
        for index in 0..<5 as Range<CInt> {
            let bytes = try #require(cl_send_bytes(batch, index))
            for offset in 0..<100 { bytes[offset] = offset == 1 ? UInt8(index) : 0 }
            if index == 0 {
                cl_send_begin(batch, 0, sender.descriptor, &to, 100)
            } else {
                cl_send_append(batch, index, index - 1, 100)
            }
        }
        var result = cl_send_result()
        cl_send(batch, &result)
        #expect(result.sent == 5)
        #expect(result.messages == 5)
        #expect(receiver.received() == (0..<5).map { [$0, 100] })
    }

    @Test(arguments: [true, false]) func `marks leave with their datagrams and with no others`(isIPv4: Bool) throws {
        // A machine without IPv6 has nothing to test there.
        guard let sender = try? Socket(isIPv4: isIPv4) else { return }
        let (marked, other) = (try Socket(isIPv4: isIPv4), try Socket(isIPv4: isIPv4))
        for socket in [marked, other] { #expect(cl_receive_marks(socket.descriptor) == 0) }
        var egress = try Self.makeQueue(sender)
        var chains = Chains()
        var expected: [[Int]] = []
        for number in 0..<40 {
            // One alone, a few with marks, and a report without; as a path that is tried out, and one that is proven.
            let isMarked = number % 4 == 1 || number >= 20 && number != 30
            let length = number == 30 ? 90 : 1_000
            if chains[marked.address, default: EgressQueue.Chain()].isMarked != isMarked {
                chains[marked.address] = EgressQueue.Chain(isMarked: isMarked)
            }
            Self.queue(number, length: length, to: marked.address, in: &egress, &chains)
            Self.queue(number, length: 500, to: other.address, in: &egress, &chains)
            expected.append([number, length, isMarked ? 1 : 0])
        }
        egress.flush()
        #expect(marked.receivedWithMarks() == expected)
        #expect(other.receivedWithMarks() == (0..<40).map { [$0, 500, 0] })
        let (messages, apart) = (egress.messageCount, egress.apartCount)
        // 11 changes of marks up to the 20th, 2 more at the 30th; the other socket's leave as one.
        #expect(messages == 14 + 1 || apart > 0)
    }

    @Test func `marks leave without segmentation too, and nobody is told of them who has not asked`() throws {
        let batch = try #require(cl_send_batch_make(8, 1_536))
        defer { cl_send_batch_free(batch) }
        let sender = try Socket()
        let (told, untold) = (try Socket(), try Socket())
        #expect(cl_receive_marks(told.descriptor) == 0)
        var index: CInt = 0
        for receiver in [told, untold] {
            let address = receiver.address
            var to = cl_address(high: address.high, low: address.low, scope: 0, port: address.port)
            for number in 0..<2 as Range<UInt8> {
                let bytes = try #require(cl_send_bytes(batch, index))
                for offset in 0..<100 { bytes[offset] = offset == 1 ? number : 0 }
                if number == 0 {
                    cl_send_begin(batch, index, sender.descriptor, &to, 100)
                    cl_send_mark(batch, 3)
                } else {
                    cl_send_append(batch, index, index - 1, 100)
                }
                index += 1
            }
        }
        cl_send_use_segmentation(batch, 0)
        var result = cl_send_result()
        cl_send(batch, &result)
        #expect(result.sent == 4)
        #expect(told.receivedWithMarks() == [[0, 100, 3], [1, 100, 3]])
        #expect(untold.receivedWithMarks() == [[0, 100, 0], [1, 100, 0]])
    }
}
