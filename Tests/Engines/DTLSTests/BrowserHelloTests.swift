import Basics
import DTLS
import TestSupport
import Testing

/// Chromium 150 and Firefox send a DTLS 1.3 ClientHello with post-quantum key shares, which takes two datagrams.
@Suite("DTLS ClientHellos of browsers")
struct BrowserHelloTests {
    private static func server() throws -> DTLSSession {
        try DTLSSession(
            role: .server,
            certificate: Certificates.server,
            expectedFingerprints: [Certificates.client.fingerprint],
            at: .zero
        )
    }

    private static func isServerFlight(_ datagrams: [[UInt8]]) -> Bool {
        // A handshake record with a ServerHello that says DTLS 1.2.
        guard let first = datagrams.first, first.count > 27 else { return false }
        return first[0] == 22 && first[13] == 2 && first[25] == 0xfe && first[26] == 0xfd
    }

    @Test(
        "are answered whatever the order, and whatever comes twice",
        arguments: ["chromium", "firefox"],
        [[0, 1], [1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1, 0], [0, 1, 0, 1]]
    )
    func anyOrder(browser: String, order: [Int]) throws {
        let parts = try (0..<2).map { try Fixture.bytes("\(browser)-clienthello-\($0).bin") }
        var server = try Self.server()
        var outcome = Outcome()
        var flights: [[[UInt8]]] = []
        for (step, part) in order.enumerated() {
            let now = Instant(nanoseconds: Int64(step) * 1_000_000)
            server.handle(parts[part], at: now)
            let sent = server.drain(into: &outcome, at: now)
            if !sent.isEmpty { flights.append(sent) }
        }
        // A repetition within 20 ms is the network's, not the browser's.
        #expect(flights.count == 1)
        #expect(Self.isServerFlight(flights.first ?? []))
        #expect(outcome.failure == nil)
    }

    @Test(
        "that come again are answered at once, but not more often than every 20 ms",
        arguments: ["chromium", "firefox"]
    )
    func repetition(browser: String) throws {
        let parts = try (0..<2).map { try Fixture.bytes("\(browser)-clienthello-\($0).bin") }
        var server = try Self.server()
        var outcome = Outcome()
        for part in parts { server.handle(part, at: .zero) }
        let flight = server.drain(into: &outcome, at: .zero)
        var answers: [Int64] = []
        for milliseconds in Int64(1)...95 {
            let now = Instant(nanoseconds: milliseconds * 1_000_000)
            server.handle(parts[Int(milliseconds & 1)], at: now)
            let sent = server.drain(into: &outcome, at: now)
            if !sent.isEmpty {
                #expect(sent == flight)
                answers.append(milliseconds)
            }
        }
        #expect(answers == [20, 40, 60, 80])
    }

    @Test(
        "at 20 % loss the answer is with the browser within 300 ms in 95 of 100 cases",
        arguments: ["chromium", "firefox"]
    )
    func lossy(browser: String) throws {
        let parts = try (0..<2).map { try Fixture.bytes("\(browser)-clienthello-\($0).bin") }
        let browserAddress = VirtualPair.clientAddress
        let serverAddress = VirtualPair.serverAddress
        var times: [Double] = []
        for seed in UInt64(1)...200 {
            var network = SimulatedNetwork(
                impairment: .init(loss: 0.2, delay: .milliseconds(20), reordering: 0.1),
                seed: seed
            )
            var server = try Self.server()
            var outcome = Outcome()
            var expected: [[UInt8]] = []
            var received: Set<[UInt8]> = []
            var now = Instant.zero
            // A browser's own times: 50 ms, then twice as long each time.
            var nextHello = Instant.zero
            var interval = Nanoseconds.milliseconds(50)
            while expected.isEmpty || received.count < expected.count {
                now = min(nextHello, network.nextArrival ?? nextHello, outcome.deadline ?? nextHello)
                if now == nextHello {
                    for part in parts { network.send(part, from: browserAddress, to: serverAddress, at: now) }
                    nextHello = now + interval
                    interval = interval * 2
                }
                while let delivery = network.receive(by: now) {
                    if delivery.to == serverAddress {
                        server.handle(delivery.bytes, at: now)
                    } else {
                        received.insert(delivery.bytes)
                    }
                }
                server.handleTimeout(at: now)
                for datagram in server.drain(into: &outcome, at: now) {
                    if !expected.contains(datagram) { expected.append(datagram) }
                    network.send(datagram, from: serverAddress, to: browserAddress, at: now)
                }
            }
            times.append((now - .zero).inMilliseconds)
        }
        times.sort()
        #expect(times[190] <= 300, "median \(times[100]) ms, 95th percentile \(times[190]) ms")
    }
}
