import Basics
import MediaPlane
import Negotiation
import RTP
import TestSupport
import Testing

@Suite struct FramesLeaveTogetherTests {
    /// How many of a subscriber's frames arrived at one instant, of ten seconds' worth.
    private static func wholeFrames(
        subscribers: Int,
        spacing: Nanoseconds,
        sendBatchInterval: Nanoseconds,
        seed: UInt64
    ) throws -> (whole: Int, all: Int) {
        let call = SimulatedCall(impairment: .init(delay: .milliseconds(10)), seed: seed)
        call.sendBatchInterval = sendBatchInterval
        let publisher = call.addClient()
        let uplink = publisher.add(.video, direction: .send)
        try call.negotiate(publisher)
        for _ in 0..<subscribers {
            let client = call.addClient()
            let mid = client.add(.video, direction: .receive)
            try call.negotiate(client)
            try call.bind(publisher, uplink, to: client, mid)
        }
        try #require(call.run(upTo: .seconds(3)) { call.clients.allSatisfy(\.isConnected) })
        var camera = Camera(client: publisher, mid: uplink)
        camera.packetSpacing = spacing
        call.run(for: .seconds(10)) { camera.film(in: call, at: $0) }
        let watched = try #require(call.clients.last)
        var arrivals: [UInt32: Set<Instant>] = [:]
        for packet in watched.packets { arrivals[packet.header.timestamp, default: []].insert(packet.at) }
        return (arrivals.values.count { $0.count == 1 }, arrivals.count)
    }

    @Test func `packets that follow each other closely leave for a large audience when the frame is whole`() throws {
        let (whole, all) = try Self.wholeFrames(
            subscribers: 8,
            spacing: .microseconds(50),
            sendBatchInterval: .milliseconds(1),
            seed: 31
        )
        #expect(all > 250)
        #expect(whole > all * 4 / 5)
    }

    @Test(arguments: [
        // Nobody's message is saved often enough.
        (2, 50, 1_000),
        // The frame takes longer than anybody is to wait.
        (8, 500, 1_000),
        // It is switched off.
        (8, 50, 0),
    ])
    func `packets leave as they come where waiting would not pay`(
        subscribers: Int,
        spacing: Int64,
        interval: Int64
    ) throws {
        let (whole, all) = try Self.wholeFrames(
            subscribers: subscribers,
            spacing: .microseconds(spacing),
            sendBatchInterval: .microseconds(interval),
            seed: 32
        )
        #expect(all > 250)
        #expect(whole < all / 10)
    }
}
