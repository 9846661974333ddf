import Basics
import MediaControl
import MediaPlane
import Negotiation
import RTP
import TestSupport
import Testing

@Suite struct LargePacketsAreLeftOutTests {
    /// On both sides of what fits a datagram that the server sends, and far above.
    private static let sizes = [400, 1_380, 1_400, 1_420, 1_440, 1_460, 1_480, 1_500, 3_000, 20_000, 400]

    /// What four subscribers are sent of frames with packets of all these sizes: lengths and bytes of payloads.
    private static func received(together: Bool) throws -> [[[UInt8]]] {
        let call = SimulatedCall(seed: 41)
        call.router.forwardsTogether = together
        let publisher = call.addClient()
        let uplink = publisher.add(.video, direction: .send)
        try call.negotiate(publisher)
        var subscribers: [SimulatedClient] = []
        for _ in 0..<4 {
            let client = call.addClient()
            let mid = client.add(.video, direction: .receive)
            try call.negotiate(client)
            try call.bind(publisher, uplink, to: client, mid)
            subscribers.append(client)
        }
        try #require(call.run(upTo: .seconds(3)) { call.clients.allSatisfy(\.isConnected) })
        var camera = Camera(client: publisher, mid: uplink)
        camera.payloadSizes = Self.sizes
        camera.packetsPerFrame = Self.sizes.count
        call.run(for: .seconds(3)) { camera.film(in: call, at: $0) }
        return subscribers.map { $0.packets.map(\.payload) }
    }

    @Test func `a packet that fits no datagram of ours is left out, and does no harm to those around it`() throws {
        let alone = try Self.received(together: false)
        let together = try Self.received(together: true)
        #expect(alone == together)
        for packets in together {
            #expect(packets.count > 100)
            #expect(packets.allSatisfy { $0.count < EgressQueue.slotByteCount })
            for size in [400, 1_380, 1_400] {
                // A VP8 descriptor of four bytes, and the frame header of the first packet.
                #expect(packets.contains { $0.count >= size + 4 && $0.count <= size + 14 }, "\(size)")
            }
            for packet in packets {
                // Each byte is the one before and one: nothing was written over it.
                let body = packet.suffix(packet.count - 14)
                #expect(zip(body, body.dropFirst()).allSatisfy { $1 == $0 &+ 1 })
            }
        }
    }
}
