import Basics
import MediaPlane
import Testing

/// What waits for its turn lies in the publisher's cache, which holds a quarter of a megabyte.
@Suite struct LostWhileWaitingTests {
    @Test(arguments: [UInt64(1_501), 1_502])
    func `a picture whose packets are gone before their turn has come is replaced by a key frame at once`(
        seed: UInt64
    ) throws {
        let (call, publisher, uplink, subscriber, _) = try SimulatedCall.video(seed: seed)
        // 12 Mbit/s to somebody of whom nothing is known yet: more than the cache holds comes in a fifth of a second.
        var camera = Camera(client: publisher, mid: uplink)
        camera.packetsPerFrame = 50
        camera.payloadSize = 1_000
        call.bottlenecks[subscriber.address] = Bottleneck(rate: .kbps(1_000))
        var asked: Instant?
        var lost: Instant?
        var askedBefore = 0
        call.run(for: .seconds(2)) { now in
            camera.film(in: call, at: now)
            if lost == nil, call.router.currentCounters().droppedOutPacer > 0 {
                lost = now
                askedBefore = camera.pictureLossReceived
            }
            if lost != nil, asked == nil, camera.pictureLossReceived > askedBefore { asked = now }
        }
        let from = try #require(lost, "nothing was lost, seed \(seed)")
        let at = try #require(asked, "no key frame was asked for, seed \(seed)")
        // Within what the limiter of requests allows.
        #expect(at - from <= .milliseconds(550), "seed \(seed)")
    }

    @Test func `a path that is always too slow costs the publisher a key frame each 2 s at most`() throws {
        let seed: UInt64 = 1_503
        let (call, publisher, uplink, subscriber, _) = try SimulatedCall.video(seed: seed)
        var camera = Camera(client: publisher, mid: uplink)
        camera.packetsPerFrame = 50
        camera.payloadSize = 1_000
        call.bottlenecks[subscriber.address] = Bottleneck(rate: .kbps(1_000))
        call.run(for: .seconds(10)) { camera.film(in: call, at: $0) }
        #expect(call.router.currentCounters().droppedOutPacer > 0, "seed \(seed)")
        // And one for the first picture.
        #expect(camera.pictureLossReceived <= 7, "\(camera.pictureLossReceived), seed \(seed)")
    }
}
