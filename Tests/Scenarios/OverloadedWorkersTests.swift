import Basics
import MediaPlane
import Negotiation
import RTP
import TestSupport
import Testing

/// More is asked of a worker than its core can do: datagrams lie in its sockets' buffers for long, and some are lost there.
@Suite struct OverloadedWorkersTests {
    private static let seed: UInt64 = 2_401

    /// A call of one camera, of 1.2 Mbit/s unless it is said otherwise, that has gone on for 4 s.
    private static func call(
        packetsPerFrame: Int = 5,
        rids: [String] = []
    ) throws -> (SimulatedCall, Camera, SimulatedClient) {
        let (call, publisher, uplink, subscriber, _) = try SimulatedCall.video(seed: Self.seed, rids: rids)
        var camera = Camera(client: publisher, mid: uplink, rids: rids)
        camera.packetsPerFrame = packetsPerFrame
        camera.payloadSize = 1_000
        if rids.count == 2 { camera.packetsByLayer = [1, 5] }
        call.run(for: .seconds(4)) { camera.film(in: call, at: $0) }
        return (call, camera, subscriber)
    }

    /// Goes on, with datagrams that lay in a socket for so long, unless it is `nil`.
    private static func goOn(
        _ call: SimulatedCall,
        _ camera: inout Camera,
        wait: Nanoseconds?,
        seconds: Int64 = 2,
        each: () -> Void = {}
    ) {
        call.run(for: .seconds(seconds)) { now in
            if let wait { call.workers[0].router.noteSocketWait(wait, isRTCP: false, at: now) }
            camera.film(in: call, at: now)
            each()
        }
    }

    @Test func `of what each subscriber tells, a datagram in 100 ms is read, and media goes on`() throws {
        var (call, camera, subscriber) = try Self.call()
        let media = try #require(subscriber.packets.last?.header.ssrc)
        var asks = 0
        func ask() {
            asks += 1
            call.send(
                subscriber.sealRTCP { _ = $0.appendPictureLossIndication(from: SSRC(1), about: media) },
                from: subscriber
            )
        }
        Self.goOn(call, &camera, wait: .milliseconds(40), each: ask)
        #expect(call.router.currentCounters().feedbackShed == 0, "seed \(Self.seed)")
        Self.goOn(call, &camera, wait: .milliseconds(60), seconds: 1, each: ask)
        let (before, asked) = (subscriber.packets.count, call.router.currentCounters())
        asks = 0
        Self.goOn(call, &camera, wait: .milliseconds(60), each: ask)
        let after = call.router.currentCounters()
        let requests = after.pictureLossForwarded + after.pictureLossThrottled
        let heard = requests - asked.pictureLossForwarded - asked.pictureLossThrottled
        // Of 20; feedback has a part in those.
        #expect((5...21).contains(heard), "\(heard) of \(asks), seed \(Self.seed)")
        #expect(after.feedbackShed - asked.feedbackShed >= UInt64(asks) - heard, "seed \(Self.seed)")
        #expect(subscriber.packets.count - before >= 59 * 5, "seed \(Self.seed)")
        // All is read again soon after.
        call.run(for: .milliseconds(600)) { camera.film(in: call, at: $0) }
        let shed = call.router.currentCounters().feedbackShed
        Self.goOn(call, &camera, wait: nil, each: ask)
        #expect(call.router.currentCounters().feedbackShed == shed, "seed \(Self.seed)")
    }

    @Test func `a pause of the thread is no overload`() throws {
        var (call, camera, _) = try Self.call()
        for _ in 0..<3 {
            for _ in 0..<10 {
                call.workers[0].router.noteSocketWait(.milliseconds(300), isRTCP: false, at: call.now)
                call.run(for: .milliseconds(5)) { camera.film(in: call, at: $0) }
            }
            Self.goOn(call, &camera, wait: .milliseconds(1))
        }
        #expect(call.router.currentCounters().feedbackShed == 0, "seed \(Self.seed)")
    }

    @Test(arguments: [true, false])
    func `that no feedback comes is held against the path, but not while the worker loses it itself`(
        isOverloaded: Bool
    ) throws {
        var (call, camera, subscriber) = try Self.call(rids: ["l", "h"])
        subscriber.sendsFeedback = false
        // A queue that comes and goes: where one stands, videos are left out.
        func empty() { call.workers[0].router.noteSocketWait(.zero, isRTCP: false, at: call.now) }
        let wait: Nanoseconds? = isOverloaded ? .milliseconds(60) : nil
        Self.goOn(call, &camera, wait: wait, seconds: 8, each: empty)
        let before = subscriber.packets.count
        Self.goOn(call, &camera, wait: wait, each: empty)
        let share = Double(subscriber.packets.count - before) / (60 * 5)
        #expect(isOverloaded ? share > 0.98 : share < 0.5, "\(share), seed \(Self.seed)")
    }

    @Test(arguments: [true, false])
    func `what waits for a subscriber leaves together when media has to wait for the worker, not RTCP alone`(
        isRTCP: Bool
    ) throws {
        var (call, camera, subscriber) = try Self.call(packetsPerFrame: 1)
        camera.packetsPerFrame = 150
        let before = subscriber.packets.count
        camera.film(in: call, at: call.now + camera.interval)
        // 20 of it on the way.
        call.run(for: .milliseconds(25))
        #expect(subscriber.packets.count - before < 100, "nothing had to wait, seed \(Self.seed)")
        // Known to have fallen behind after 200 ms; pacers hear of it with the next feedback.
        call.run(for: .milliseconds(500)) { now in
            call.workers[0].router.noteSocketWait(.milliseconds(60), isRTCP: isRTCP, at: now)
        }
        let left = subscriber.packets.count
        camera.film(in: call, at: call.now + camera.interval)
        call.run(for: .milliseconds(25))
        #expect((subscriber.packets.count - left >= 150) == !isRTCP, "seed \(Self.seed)")
    }
}
