import Basics
import MediaControl
import MediaPlane
import Negotiation
import RTP
import TestSupport
import Testing

@Suite struct SimulcastTests {
    @Test func `a subscriber gets the highest layer, falls back when it goes silent, and comes back`() throws {
        let (call, publisher, uplink, subscriber, _) = try SimulatedCall.video(seed: 21, rids: ["q", "h", "f"])
        var camera = Camera(client: publisher, mid: uplink, rids: ["q", "h", "f"])
        call.run(for: .seconds(3)) { camera.film(in: call, at: $0) }
        #expect(Self.lastSelection(call)?.width == 1_280)

        camera.layers[2].isOn = false
        call.run(for: .seconds(3)) { camera.film(in: call, at: $0) }
        #expect(Self.lastSelection(call)?.width == 640)

        camera.layers[2].isOn = true
        call.run(for: .seconds(3)) { camera.film(in: call, at: $0) }
        #expect(Self.lastSelection(call)?.width == 1_280)

        // One stream all along: one SSRC, no gap but the one that marks a frame cut short, picture ids by one.
        #expect(Set(subscriber.packets.map(\.header.ssrc)).count == 1)
        #expect(PictureWatcher.gaps(subscriber.packets) <= 2)
        let ids = PictureWatcher.pictureIDs(subscriber.packets)
        for (before, after) in zip(ids, ids.dropFirst()) { #expect(after == (before + 1) & 0x7FFF) }
        for (before, after) in zip(subscriber.packets, subscriber.packets.dropFirst()) {
            #expect(Int32(bitPattern: after.header.timestamp &- before.header.timestamp) >= 0)
        }
    }

    @Test func `layers in any order of the offer are told apart by their pictures`() throws {
        let (call, publisher, uplink, _, _) = try SimulatedCall.video(seed: 22, rids: ["big", "small"])
        // `Camera` makes the second one twice as large, so "small" comes first here and gets 320 pixels.
        var camera = Camera(client: publisher, mid: uplink, rids: ["small", "big"])
        call.run(for: .seconds(4)) { camera.film(in: call, at: $0) }
        #expect(Self.lastSelection(call)?.width == 640)
    }

    @Test func `a subscriber who asks for a small picture gets the largest layer that is not larger`() throws {
        let (call, publisher, uplink, subscriber, mid) = try SimulatedCall.video(seed: 23, rids: ["q", "h", "f"])
        var camera = Camera(client: publisher, mid: uplink, rids: ["q", "h", "f"])
        call.run(for: .seconds(3)) { camera.film(in: call, at: $0) }
        let section = SectionReference(session: subscriber.id, mid: mid)
        for (width, expected) in [(700, 640), (400, 320), (100, 320), (nil, 1_280)] as [(Int?, Int)] {
            call.router.setPreference(SubscriberPreference(maximumWidth: width), for: section, at: call.now)
            call.run(for: .seconds(2)) { camera.film(in: call, at: $0) }
            #expect(Self.lastSelection(call)?.width == expected, "asked for at most \(width ?? 0)")
        }
        #expect(PictureWatcher.gaps(subscriber.packets) <= 5)
    }

    private static func lastSelection(_ call: SimulatedCall) -> LayerSelection? {
        call.events.compactMap { event in
            if case .selectionChanged(_, let selection) = event { selection } else { nil }
        }.last
    }
}
