import Basics
import MediaControl
import MediaPlane
import Negotiation
import TestSupport
import Testing

@Suite struct UnusedLayersAreToldTests {
    @Test func `publishers hear which encodings anybody has use for: more at once, fewer after 5 s`() throws {
        let (call, publisher, uplink, subscriber, mid) = try SimulatedCall.video(seed: 511, rids: ["q", "h", "f"])
        var camera = Camera(client: publisher, mid: uplink, rids: ["q", "h", "f"])
        call.run(for: .seconds(7)) { camera.film(in: call, at: $0) }
        let section = SectionReference(session: subscriber.id, mid: mid)
        #expect(Self.wanted(call).allSatisfy { $0 == ["q", "h", "f"] })

        call.events.removeAll()
        call.router.setPreference(SubscriberPreference(maximumWidth: 330), for: section, at: call.now)
        call.run(for: .milliseconds(4_500)) { camera.film(in: call, at: $0) }
        #expect(Self.wanted(call).isEmpty)
        call.run(for: .seconds(1)) { camera.film(in: call, at: $0) }
        #expect(Self.wanted(call) == [["q"]])

        call.events.removeAll()
        call.router.setPreference(SubscriberPreference(), for: section, at: call.now)
        call.run(for: .milliseconds(200)) { camera.film(in: call, at: $0) }
        #expect(Self.wanted(call) == [["q", "h", "f"]])

        // Held back by the room: nobody has use for it. The smallest is kept for half a minute.
        call.events.removeAll()
        call.router.setPaused(true, because: .lastN, for: section, at: call.now)
        let unused = call.router.currentCounters().tracksUnused
        #expect(unused == 1)
        call.run(for: .seconds(6)) { camera.film(in: call, at: $0) }
        #expect(Self.wanted(call) == [["q"]])
        call.run(for: .seconds(26)) { camera.film(in: call, at: $0) }
        #expect(Self.wanted(call) == [["q"], []])
    }

    @Test func `pauses for two reasons end when both are over`() throws {
        let (call, publisher, uplink, subscriber, _) = try SimulatedCall.video(seed: 512)
        var camera = Camera(client: publisher, mid: uplink)
        let section = SectionReference(session: subscriber.id, mid: "0")
        call.run(for: .seconds(1)) { camera.film(in: call, at: $0) }
        call.router.setPaused(true, because: .lastN, for: section, at: call.now)
        call.router.setPaused(true, because: .subscriber, for: section, at: call.now)
        call.router.setPaused(false, because: .lastN, for: section, at: call.now)
        call.run(for: .milliseconds(100)) { camera.film(in: call, at: $0) }
        let count = subscriber.packets.count
        call.run(for: .seconds(1)) { camera.film(in: call, at: $0) }
        #expect(subscriber.packets.count == count)
        call.router.setPaused(false, because: .subscriber, for: section, at: call.now)
        call.run(for: .seconds(1)) { camera.film(in: call, at: $0) }
        #expect(subscriber.packets.count > count + 60)
        // 0 = not visible: nothing is sent, and nobody is told of a pause for bandwidth.
        call.router.setPreference(SubscriberPreference(priority: 0), for: section, at: call.now)
        call.run(for: .milliseconds(300)) { camera.film(in: call, at: $0) }
        let invisible = subscriber.packets.count
        call.run(for: .seconds(1)) { camera.film(in: call, at: $0) }
        #expect(subscriber.packets.count == invisible)
        let paused = call.router.currentCounters().tracksPausedForBandwidth
        #expect(paused == 0)
    }

    private static func wanted(_ call: SimulatedCall) -> [[String]] {
        call.events.compactMap { event in
            if case .layersWanted(_, let rids) = event { rids } else { nil }
        }
    }
}
