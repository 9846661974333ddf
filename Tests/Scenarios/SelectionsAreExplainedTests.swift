import Basics
import MediaControl
import MediaPlane
import Negotiation
import TestSupport
import Testing

/// What rooms hear of a track's layers, and of what subscribers are sent of them.
@Suite struct SelectionsAreExplainedTests {
    @Test func `a reason never contradicts what is sent`() throws {
        let (call, publisher, uplink, subscriber, mid) = try SimulatedCall.video(seed: 531, rids: ["q", "h", "f"])
        var camera = Camera(client: publisher, mid: uplink, rids: ["q", "h", "f"])
        let section = SectionReference(session: subscriber.id, mid: mid)
        call.run(for: .seconds(3)) { camera.film(in: call, at: $0) }
        let first = Self.selections(call).first { $0.spatial >= 0 }
        #expect(first?.reason == "just begun: what the sender sends is not measured yet")
        #expect(Self.selections(call).last?.reason == "this is the best picture that is sent")

        for pause in PauseReason.allCases {
            call.router.setPaused(true, because: pause, for: section, at: call.now)
            call.run(for: .milliseconds(500)) { camera.film(in: call, at: $0) }
            #expect(Self.selections(call).last?.spatial == -1)
            call.router.setPaused(false, because: pause, for: section, at: call.now)
            // The sender's key frame takes its time.
            call.run(for: .milliseconds(300)) { _ in }
            let waiting = Self.selections(call).last
            #expect(waiting?.spatial == -1)
            #expect(waiting?.reason == "about to start: waits for a key frame from the sender")
            call.run(for: .seconds(2)) { camera.film(in: call, at: $0) }
            #expect(Self.selections(call).last?.spatial == 2)
            #expect(Self.selections(call).last?.reason == "this is the best picture that is sent")
        }
        for selection in Self.selections(call) {
            let isOfSent = selection.reason.hasPrefix("this is the best") || selection.reason.hasPrefix("just begun")
            let isOfNothing = ["the sender sends no", "about to"].contains { selection.reason.hasPrefix($0) }
            #expect(!isOfSent || selection.spatial >= 0, "\(selection)")
            #expect(!isOfNothing || selection.spatial < 0, "\(selection)")
        }
    }

    @Test func `a limit of frames a second holds when layers come that are not measured yet`() throws {
        let (call, publisher, uplink, subscriber, mid) = try SimulatedCall.video(seed: 532, rids: ["q", "h", "f"])
        var camera = Camera(client: publisher, mid: uplink, rids: ["q", "h", "f"])
        camera.temporalLayers = 3
        let section = SectionReference(session: subscriber.id, mid: mid)
        var preference = SubscriberPreference(maximumWidth: 330, maximumFrameRate: 15)
        call.router.setPreference(preference, for: section, at: call.now)
        call.run(for: .seconds(4)) { camera.film(in: call, at: $0) }
        #expect(Self.selections(call).last?.spatial == 0)
        #expect(Self.selections(call).last?.temporal == 1)
        camera.layers[1].isOn = false
        camera.layers[2].isOn = false
        call.run(for: .seconds(3)) { camera.film(in: call, at: $0) }

        call.events.removeAll()
        preference.maximumWidth = nil
        call.router.setPreference(preference, for: section, at: call.now)
        camera.layers[1].isOn = true
        camera.layers[2].isOn = true
        call.run(for: .seconds(4)) { camera.film(in: call, at: $0) }
        #expect(Self.selections(call).last?.spatial == 2)
        #expect(Self.selections(call).allSatisfy { $0.temporal <= 1 }, "\(Self.selections(call))")
    }

    @Test func `rooms hear how the frames of a track depend on each other`() throws {
        let (call, publisher, uplink, _, _) = try SimulatedCall.video(seed: 533)
        var camera = Camera(client: publisher, mid: uplink)
        for (count, mode) in [(3, "L1T3"), (2, "L1T2"), (1, nil)] as [(Int, String?)] {
            call.events.removeAll()
            camera.temporalLayers = count
            call.run(for: .seconds(3)) { camera.film(in: call, at: $0) }
            let layers = call.events.compactMap { event in
                if case .layersChanged(_, _, let layers) = event { layers } else { nil }
            }
            #expect(layers.last?.map(\.scalabilityMode) == [mode])
            #expect(layers.count <= 3)
        }
    }

    private static func selections(_ call: SimulatedCall) -> [LayerSelection] {
        call.events.compactMap { event in
            if case .selectionChanged(_, let selection) = event { selection } else { nil }
        }
    }
}
