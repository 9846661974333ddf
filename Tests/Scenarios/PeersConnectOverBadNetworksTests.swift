import Basics
import MediaControl
import MediaPlane
import Negotiation
import PeerSession
import TestSupport
import Testing

@Suite struct PeersConnectOverBadNetworksTests {
    struct Condition: CustomTestStringConvertible {
        var loss: Double
        var reordering: Double = 0
        var duplication: Double = 0
        var within: Nanoseconds
        var testDescription: String { "\(Int(self.loss * 100)) % loss, \(Int(self.reordering * 100)) % reordered" }
    }

    @Test(arguments: [
        Condition(loss: 0, within: .seconds(1)),
        Condition(loss: 0, reordering: 0.3, duplication: 0.3, within: .seconds(1)),
        Condition(loss: 0.05, reordering: 0.1, within: .seconds(5)),
        Condition(loss: 0.2, reordering: 0.3, duplication: 0.05, within: .seconds(15)),
        Condition(loss: 0.4, within: .seconds(25)),
    ])
    func `ICE and DTLS complete`(condition: Condition) throws {
        for seed in UInt64(1)...12 {
            let call = SimulatedCall(
                impairment: SimulatedNetwork.Impairment(
                    loss: condition.loss,
                    delay: .milliseconds(20),
                    jitter: .milliseconds(5),
                    reordering: condition.reordering,
                    duplication: condition.duplication
                ),
                seed: seed
            )
            let client = call.addClient()
            _ = client.add(.audio, direction: .send)
            try call.negotiate(client)
            let isUp = call.run(upTo: condition.within) { client.isConnected }
            #expect(isUp, "seed \(seed): not connected after \(condition.within.inSeconds) s")
            let serverIsUp = call.run(upTo: .seconds(3)) { call.events.contains(.connected(client.id)) }
            #expect(serverIsUp, "seed \(seed)")
        }
    }

    @Test func `media to a client stops 30 s after its last authenticated check`() throws {
        let call = SimulatedCall(seed: 4)
        let publisher = call.addClient()
        let audio = publisher.add(.audio, direction: .send)
        let subscriber = call.addClient()
        let downlink = subscriber.add(.audio, direction: .receive)
        try call.negotiate(publisher)
        try call.negotiate(subscriber)
        try call.bind(publisher, audio, to: subscriber, downlink)
        #expect(call.run(upTo: .seconds(3)) { publisher.isConnected && subscriber.isConnected })
        var talker = Talker(client: publisher, mid: audio)
        call.run(for: .seconds(2), tick: .milliseconds(20)) { talker.talk(in: call, at: $0) }
        #expect(subscriber.packets.count > 50)

        // The subscriber's link dies: nothing it sends arrives any more.
        call.network.setImpairment(SimulatedNetwork.Impairment(loss: 1), of: subscriber.address)
        call.run(for: .seconds(31), tick: .milliseconds(20)) { talker.talk(in: call, at: $0) }
        #expect(call.events.contains(.ended(subscriber.id, .consentExpired)))
        let sent = call.sentByServer[subscriber.address] ?? 0
        call.run(for: .seconds(5), tick: .milliseconds(20)) { talker.talk(in: call, at: $0) }
        #expect(call.sentByServer[subscriber.address] == sent)
        #expect(publisher.end == nil)
    }

    @Test func `a peer that never gets through is given up after 30 s`() throws {
        let call = SimulatedCall(impairment: SimulatedNetwork.Impairment(loss: 1), seed: 9)
        let client = call.addClient()
        _ = client.add(.audio, direction: .send)
        try call.negotiate(client)
        call.run(for: .milliseconds(29_900), tick: .milliseconds(50))
        #expect(!call.events.contains(.ended(client.id, .connectTimeout)))
        call.run(for: .milliseconds(200))
        #expect(call.events.contains(.ended(client.id, .connectTimeout)))
        let sessions = call.router.currentCounters().sessions
        #expect(sessions == 0)
    }
}
