import Basics
import MediaControl
import MediaPlane
import Testing

@Suite struct MediaPlaneStartTests {
    private static let loopback = TransportAddress(ipv4: 0x7F00_0001, port: 0)

    @Test func `workers bind their own ports, advertise them, and end when told`() async throws {
        let plane = try MediaPlane(
            MediaPlane.Configuration(hosts: [Self.loopback], port: 0, workerCount: 2)
        )
        let ports = plane.workers.compactMap { $0.endpoint.candidates.first?.port }
        #expect(Set(ports).count == 2)
        #expect(!ports.contains(0))
        #expect(plane.sockets.allSatisfy { $0.receiveBufferByteCount > 0 && $0.sendBufferByteCount > 0 })
        try plane.start()
        #expect(await plane.workers[0].statistics(of: SessionID(1)) == nil)
        await plane.stop()
        var iterator = plane.events.makeAsyncIterator()
        #expect(await iterator.next() == nil)
    }

    @Test(.timeLimit(.minutes(1)))
    func `who asks a worker that has stopped is answered, however many ask at the same time`() async throws {
        let plane = try MediaPlane(MediaPlane.Configuration(hosts: [Self.loopback], port: 0))
        try plane.start()
        let worker = plane.workers[0]
        let answers = await withTaskGroup(of: Int.self) { group in
            group.addTask {
                await plane.stop()
                return 0
            }
            for number in 1...200 {
                group.addTask { await worker.statistics(of: SessionID(UInt64(number))) == nil ? 1 : 0 }
            }
            return await group.reduce(0, +)
        }
        #expect(answers == 200)
        #expect(await worker.statistics(of: SessionID(1)) == nil)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a worker that only those who ask it still know answers them, and goes with the last`() async throws {
        for _ in 0..<20 {
            var plane: MediaPlane? = try MediaPlane(MediaPlane.Configuration(hosts: [Self.loopback], port: 0))
            try plane?.start()
            await plane?.stop()
            let asks = (0..<8).compactMap { _ in plane?.workers.first }.map { worker in
                Task.detached { await worker.statistics(of: SessionID(1)) == nil }
            }
            plane = nil
            for ask in asks { #expect(await ask.value) }
        }
    }

    @Test func `a port in use is an error that names the address`() throws {
        let first = try MediaPlane(MediaPlane.Configuration(hosts: [Self.loopback], port: 0))
        let taken = try #require(first.sockets.first?.address)
        #expect(throws: MediaPlaneError.bindFailed(taken, errno: 98)) {
            _ = try MediaPlane(MediaPlane.Configuration(hosts: [Self.loopback], port: taken.port))
        }
    }

    @Test func `an advertised address takes the place of the bound one, with the worker's port`() throws {
        let plane = try MediaPlane(
            MediaPlane.Configuration(
                hosts: [Self.loopback],
                port: 0,
                advertisedAddresses: [TransportAddress(ipv4: 0xCB00_7107, port: 0)]
            )
        )
        let candidate = try #require(plane.workers.first?.endpoint.candidates.first)
        #expect(candidate.ip == "203.0.113.7")
        #expect(candidate.port == plane.sockets.first?.address.port)
    }

    @Test func `new rooms go to the workers in turn while all are empty`() throws {
        let plane = try MediaPlane(MediaPlane.Configuration(hosts: [Self.loopback], port: 0, workerCount: 3))
        let chosen = (0..<6).map { _ in plane.workerForNewRoom().index }
        #expect(Set(chosen.prefix(3)) == [0, 1, 2])
        #expect(Set(chosen.suffix(3)) == [0, 1, 2])
    }
}
