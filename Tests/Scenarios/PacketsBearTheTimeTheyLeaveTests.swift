import Basics
import MediaPlane
import Negotiation
import RTP
import TestSupport
import Testing

/// The estimator compares when packets left with when they arrived: a busy worker's own work must not be part of that.
@Suite struct PacketsBearTheTimeTheyLeaveTests {
    @Test func `what pacers let out bears the time at which it leaves, not that at which a busy worker began`() throws {
        let seed: UInt64 = 2_301
        let call = SimulatedCall(seed: seed)
        let publisher = call.addClient()
        let uplink = publisher.add(.video, direction: .send)
        try call.negotiate(publisher)
        var subscribers: [SimulatedClient] = []
        for _ in 0..<24 {
            let subscriber = call.addClient()
            let mid = subscriber.add(.video, direction: .receive)
            try call.negotiate(subscriber)
            try call.bind(publisher, uplink, to: subscriber, mid)
            subscribers.append(subscriber)
        }
        try #require(call.run(upTo: .seconds(3)) { call.clients.allSatisfy(\.isConnected) })
        var camera = Camera(client: publisher, mid: uplink)
        camera.packetsPerFrame = 1
        // The first probes have times of their own.
        call.run(for: .seconds(4)) { camera.film(in: call, at: $0) }
        // A picture of 150 kB that mostly has to wait for each of them, and a worker that is busy for 500 ms meanwhile.
        camera.packetsPerFrame = 150
        camera.payloadSize = 1_000
        camera.film(in: call, at: call.now + camera.interval)
        call.run(for: .milliseconds(15))
        let begun = call.now + .milliseconds(500)
        let worker = call.workers[0]
        var time = begun
        worker.outbox.clock = {
            time = time + .milliseconds(20)
            return time
        }
        worker.router.handleTimers(at: begun)
        worker.outbox.clock = { nil }
        // Nothing that leaves after it bears its times.
        call.run(for: .milliseconds(100))

        let sendTimes = subscribers.flatMap { $0.packets.compactMap(\.sendTime) }
        #expect(sendTimes.contains(AbsoluteSendTime(begun)), "seed \(seed)")
        try #require(time > begun, "what waited was not enough, seed \(seed)")
        for turn in 1..<Int((time - begun).inSeconds / 0.02 + 0.5) {
            #expect(sendTimes.contains(AbsoluteSendTime(begun + .milliseconds(Int64(turn) * 20))), "seed \(seed)")
        }
        // In the order in which they leave.
        for subscriber in subscribers {
            let own = subscriber.packets.compactMap(\.sendTime).map(\.rawValue)
            #expect(own == own.sorted(), "seed \(seed)")
        }
    }
}
