import Basics
import TestSupport
import Testing

@Suite("Datagrams between addresses")
struct SimulatedNetworkTests {
    private let sender = TransportAddress(ipv4: 0x7F00_0001, port: 1)
    private let receiver = TransportAddress(ipv4: 0x7F00_0001, port: 2)

    @Test("pass a link with its capacity and its queue, and come back without it")
    func overALink() {
        let start = Instant(nanoseconds: 5_000_000_000)
        var network = SimulatedNetwork(impairment: .perfect, seed: 1)
        var link = LinkConfiguration(capacity: [(0, 1_000_000), (1, 500_000)], delayMilliseconds: 10)
        link.queueBytes = 5_000
        network.setLink(link, to: self.receiver, from: start)
        let bytes = [UInt8](repeating: 0, count: 1_222)
        for _ in 0..<6 { network.send(bytes, from: self.sender, to: self.receiver, at: start) }
        network.send(bytes, from: self.receiver, to: self.sender, at: start)
        network.send(bytes, from: self.sender, to: self.receiver, at: start + .seconds(2))
        var arrivals: [Nanoseconds] = []
        while let delivery = network.receive(by: start + .seconds(3)) { arrivals.append(delivery.at - start) }
        #expect(network.lostCount == 2)
        #expect(arrivals == [1, 20, 30, 40, 50, 2_030].map { .milliseconds($0) })
    }
}
