import Basics
import MediaControl
import MediaPlane
import Negotiation
import RTP
import TestSupport
import Testing

@Suite struct JoinersCostFewKeyFramesTests {
    /// What joiners on good links ask of a publisher with three layers, and how soon they see something.
    private struct Outcome {
        var requests = 0
        var firstPictures: [Nanoseconds] = []
        var topLayers: [Nanoseconds?] = []
    }

    /// - Parameters:
    ///   - apart: between joiners.
    ///   - all: a request for one layer makes a key frame of all, and the next 300 ms go unheard (libwebrtc).
    private static func room(seed: UInt64, joiners: Int, apart: Nanoseconds, all: Bool) throws -> Outcome {
        let call = SimulatedCall(impairment: .init(delay: .milliseconds(20)), seed: seed)
        let publisher = call.addClient()
        let uplink = publisher.add(.video, direction: .send, rids: ["q", "h", "f"])
        try call.negotiate(publisher)
        try #require(call.run(upTo: .seconds(2)) { publisher.isConnected })
        var camera = Camera(client: publisher, mid: uplink, rids: ["q", "h", "f"])
        camera.packetsByLayer = [1, 3, 9]
        camera.payloadSize = 560
        camera.keyFrameFactor = 3
        var outcome = Outcome()
        camera.isLibwebrtc = all
        call.run(for: .seconds(3)) { camera.film(in: call, at: $0) }
        let before = camera.pictureLossReceived
        var clients: [SimulatedClient] = []
        var joined: [Instant?] = []
        func look(_ now: Instant) {
            camera.film(in: call, at: now)
            for index in clients.indices where joined[index] == nil && clients[index].isConnected {
                joined[index] = now
            }
        }
        for _ in 0..<joiners {
            let client = call.addClient()
            let mid = client.add(.video, direction: .receive)
            try call.negotiate(client)
            try call.bind(publisher, uplink, to: client, mid)
            clients.append(client)
            joined.append(nil)
            call.run(for: apart) { look($0) }
        }
        call.run(for: .seconds(10)) { look($0) }
        outcome.requests = camera.pictureLossReceived - before
        for (client, joined) in zip(clients, joined) {
            let joined = try #require(joined)
            let first = try #require(client.packets.first)
            outcome.firstPictures.append(first.at - joined)
            outcome.topLayers.append(
                client.packets.first {
                    VP8Descriptor($0.payload.span.bytes)?.keyFrame?.width == 1_280
                }.map { $0.at - joined }
            )
        }
        return outcome
    }

    /// The first of them waits for a moment with its wish for the top layer, since the others have just come.
    @Test(arguments: [false, true])
    func `four joiners within a third of a second see a picture at once, and share one request for the top layer`(
        all: Bool
    ) throws {
        let seed: UInt64 = 602
        let outcome = try Self.room(seed: seed, joiners: 4, apart: .milliseconds(100), all: all)
        #expect(outcome.requests <= 3, "\(outcome.requests) requests, seed \(seed)")
        #expect(outcome.firstPictures.allSatisfy { $0 < .milliseconds(300) }, "\(outcome.firstPictures), seed \(seed)")
        #expect(
            outcome.topLayers.allSatisfy { ($0 ?? .seconds(100)) < .milliseconds(900) },
            "\(outcome.topLayers), seed \(seed)"
        )
    }

    /// One for the layer that a joiner starts with, unless it is kept, and one for the layer that its path turns out to
    /// carry; those of joiners who come within half a second are one.
    @Test(arguments: [false, true], [(500, 6), (2_000, 8)] as [(apart: Int64, most: Int)])
    func `four joiners see a picture at once and the top layer soon, for two requests each at most`(
        all: Bool,
        joining: (apart: Int64, most: Int)
    ) throws {
        let seed: UInt64 = 601
        let outcome = try Self.room(seed: seed, joiners: 4, apart: .milliseconds(joining.apart), all: all)
        #expect(outcome.requests <= joining.most, "seed \(seed)")
        #expect(outcome.firstPictures.allSatisfy { $0 < .milliseconds(300) }, "\(outcome.firstPictures), seed \(seed)")
        #expect(
            outcome.topLayers.allSatisfy { ($0 ?? .seconds(100)) < .milliseconds(500) },
            "\(outcome.topLayers), seed \(seed)"
        )
    }
}
