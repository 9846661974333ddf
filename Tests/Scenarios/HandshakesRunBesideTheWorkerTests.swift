import Basics
import MediaControl
import MediaPlane
import Negotiation
import PeerSession
import TestSupport
import Testing

@Suite struct HandshakesRunBesideTheWorkerTests {
    @Test(arguments: [0.0, 0.2])
    func `handshakes done elsewhere, late and out of turn, still connect everybody`(loss: Double) throws {
        for seed in UInt64(1)...6 {
            let call = SimulatedCall(
                impairment: .init(loss: loss, delay: .milliseconds(10)),
                seed: seed,
                offloadsHandshakes: true
            )
            for _ in 0..<5 {
                let client = call.addClient()
                _ = client.add(.audio, direction: .send)
                try call.negotiate(client)
            }
            #expect(call.run(upTo: .seconds(15)) { call.clients.allSatisfy(\.isConnected) }, "seed \(seed)")
        }
    }

    @Test func `a session that is closed while its handshake is out is gone for good`() throws {
        let call = SimulatedCall(seed: 3, offloadsHandshakes: true)
        call.holdsHandshakes = true
        let client = call.addClient()
        _ = client.add(.audio, direction: .send)
        try call.negotiate(client)
        call.run(for: .milliseconds(200))
        #expect(!call.heldHandshakes.isEmpty)
        call.router.close(client.id, at: call.now)
        call.holdsHandshakes = false
        call.run(for: .seconds(1))
        let sessions = call.router.currentCounters().sessions
        #expect(sessions == 0)
        #expect(!call.events.contains(.connected(client.id)))
    }
}
