import Basics
import MediaControl
import MediaPlane
import Negotiation
import PeerSession
import RTP
import TestSupport
import Testing

@Suite struct MutatedDatagramsTests {
    @Test(arguments: [UInt64(71), 72])
    func `10,000 random and mutated datagrams end no session and stop no media`(seed: UInt64) throws {
        let call = SimulatedCall(seed: seed)
        var seen: [(bytes: [UInt8], from: TransportAddress)] = []
        call.watchesClients = { bytes, client in seen.append((bytes, client.wireAddress)) }
        let scenes = [try AudioCall(in: call), try AudioCall(in: call)]
        let filmer = scenes[0].publisher
        let uplink = filmer.add(.video, direction: .send, rids: ["q", "h"])
        try call.negotiate(filmer)
        let viewer = scenes[1].subscriber
        let mid = viewer.add(.video, direction: .receive)
        try call.negotiate(viewer)
        try call.bind(filmer, uplink, to: viewer, mid)
        for scene in scenes { try scene.connect() }
        var camera = Camera(client: filmer, mid: uplink, rids: ["q", "h"])
        func run(_ duration: Nanoseconds, each: (Instant) -> Void = { _ in }) {
            call.run(for: duration, tick: .milliseconds(10)) { now in
                for scene in scenes { scene.talker.talk(in: call, at: now) }
                camera.film(in: call, at: now)
                if let view = viewer.packets.last {
                    call.send(
                        viewer.sealRTCP { _ = $0.appendPictureLossIndication(from: SSRC(1), about: view.header.ssrc) },
                        from: viewer
                    )
                }
                each(now)
            }
        }
        run(.seconds(2))
        call.watchesClients = { _, _ in }
        let kinds = (stun: seen.filter(\.bytes.isSTUN).count, dtls: seen.filter(\.bytes.isDTLS).count)
        #expect(kinds.stun > 0 && kinds.dtls > 0)
        let stranger = TransportAddress(ipv4: 0xC633_6401, port: 99)
        var random = SeededRandom(seed: seed)
        // Every kind as often as every other, though most of what was seen is media.
        let byKind = Dictionary(grouping: seen) { $0.bytes[0] < 64 ? $0.bytes[0] : $0.bytes.isRTP ? 128 : 192 }
        let groups = byKind.keys.sorted().compactMap { byKind[$0] }
        for _ in 0..<100 {
            for index in 0..<100 {
                guard let group = groups.randomElement(using: &random),
                    let datagram = group.randomElement(using: &random)
                else { continue }
                let source =
                    switch index % 4 {
                    case 0: stranger
                    case 1: call.clients[index / 4 % 4].address
                    default: datagram.from
                    }
                let bytes =
                    index % 10 == 0
                    ? random.bytes(Int.random(in: 0...1_500, using: &random))
                    : Hostility.mutate(datagram.bytes, using: &random)
                call.inject(Array(bytes.prefix(1_500)), from: source)
            }
            run(.milliseconds(20))
        }
        run(.milliseconds(500))
        let sessions = call.router.currentCounters().sessions
        #expect(sessions == 4, "seed \(seed)")
        let before = viewer.packets.filter { $0.mid == mid }.count
        run(.seconds(1))
        #expect(viewer.packets.filter { $0.mid == mid }.count - before > 100, "seed \(seed)")
        for scene in scenes { #expect(scene.isHeard(), "seed \(seed)") }
    }
}
