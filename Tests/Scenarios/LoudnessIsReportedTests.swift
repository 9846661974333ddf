import Basics
import MediaControl
import MediaPlane
import TestSupport
import Testing

@Suite struct LoudnessIsReportedTests {
    @Test func `rooms hear how loud each track was, at most every 100 ms, and nothing of muted or silent ones`() throws
    {
        let call = SimulatedCall(seed: 321)
        let scenes = try (0..<3).map { _ in try AudioCall(seed: 321, in: call) }
        for scene in scenes { try scene.connect() }
        let levels: [UInt8] = [20, 95, 40]
        for (scene, level) in zip(scenes, levels) { scene.talker.level = level }
        let tracks = scenes.map { PublishedTrack(session: $0.publisher.id, mid: $0.uplink) }
        call.router.setMuted(true, for: tracks[2], at: call.now)
        call.events.removeAll()
        let start = call.now
        var times: [Instant] = []
        call.run(for: .seconds(3)) { now in
            for scene in scenes { scene.talker.talk(in: call, at: now) }
            while times.count < Self.activity(call).count { times.append(now) }
        }
        let events = Self.activity(call)
        #expect((25...31).contains(events.count), "\(events.count)")
        for (before, after) in zip(times, times.dropFirst()) { #expect(after - before >= .milliseconds(95)) }
        for (index, track) in tracks.enumerated() {
            let heard = events.flatMap { $0 }.filter { $0.track == track }
            if index == 2 {
                #expect(heard.isEmpty)
            } else {
                #expect(heard.allSatisfy { $0.level == levels[index] })
                let count = heard.reduce(0) { $0 + $1.packetCount }
                #expect(abs(count - Int((call.now - start).inSeconds * 50)) <= 6, "\(count)")
            }
        }
        call.run(for: .milliseconds(300))
        call.events.removeAll()
        call.run(for: .seconds(1))
        #expect(Self.activity(call).isEmpty)
    }

    private static func activity(_ call: SimulatedCall) -> [[AudioActivity]] {
        call.events.compactMap { event in
            if case .audioActivity(let activity) = event { activity } else { nil }
        }
    }
}
