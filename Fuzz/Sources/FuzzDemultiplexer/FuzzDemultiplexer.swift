import Basics
import FuzzEntry
import MediaControl
import MediaPlane
import Negotiation
import PeerSession
import RouterHarness
import STUN

/// Whole datagrams through a worker's router that has one session, connected by real ICE and DTLS.
///
/// An input is a row of steps: a byte that says what to do, a 16-bit length, and that many bytes. Steps seal packets
/// with the session's keys or sign checks with its password too, so that the fuzzer comes past authentication.
@main
enum FuzzDemultiplexer {
    static let id = SessionID(1)
    static let stranger = TransportAddress(ipv4: 0xCB00_7101, port: 1_234)

    static func main() {
        fuzz { bytes, count in
            FuzzDemultiplexer.run(FuzzInput(bytes, count))
            return 0
        }
    }

    private static func run(_ input: FuzzInput) {
        var input = input
        let switches = input.byte()
        guard var harness = RouterHarness(), let client = harness.addClient(Self.id, sections: Self.sections) else {
            fatalError("no memory")
        }
        // A handshake takes most of the time: inputs that are only about strangers go without.
        if switches & 1 == 0 {
            require(harness.connect(client), "the handshake comes up")
            Self.bind(&harness)
        }
        var hasEnded = false
        for _ in 0..<64 where !input.isEmpty {
            harness.outbox.resetCounts()
            let action = input.byte()
            let body = input.take(Int(input.word() & 0x7FF))
            Self.perform(action, body, &harness, client)
            harness.router.flush()
            _ = harness.exchange(client)
            var eventCount = 0
            for event in harness.router.takeEvents() {
                eventCount += 1
                if case .ended = event { hasEnded = true }
            }
            require(eventCount <= 16, "a datagram causes few events: \(eventCount)")
            require(
                harness.router.currentCounters().sessions == (hasEnded ? 0 : 1),
                "sessions come and go by command only"
            )
        }
        harness.router.close(Self.id, at: harness.now)
        harness.router.flush()
        require(harness.router.currentCounters().sessions == 0, "a closed session is gone")
    }

    /// One that publishes and, on other m-lines, is sent its own tracks: the whole packet path with one handshake.
    private static let sections: [NegotiatedSection] = [
        .audio("0", .receive, ssrc: 1_000), .video("1", .receive, ssrc: 2_000, rids: ["q", "h", "f"]),
        .video("2", .receive, ssrc: 3_000), .audio("3", .send, ssrc: 4_000), .video("4", .send, ssrc: 5_000),
        .video("5", .send, ssrc: 6_000),
    ]

    private static func bind(_ harness: inout RouterHarness) {
        for (source, target) in [("0", "3"), ("1", "4"), ("2", "5")] {
            do {
                try harness.router.bind(
                    PublishedTrack(session: Self.id, mid: source),
                    to: SectionReference(session: Self.id, mid: target),
                    at: harness.now
                )
            } catch {
                fatalError("the track is not bound: \(error)")
            }
        }
    }

    private static func perform(
        _ action: UInt8,
        _ body: UnsafeRawBufferPointer,
        _ harness: inout RouterHarness,
        _ client: RouterClient
    ) {
        switch action & 7 {
        case 0: harness.deliver(Array(body), from: client.address)
        case 1:
            harness.deliver(Array(body), from: Self.stranger)
            harness.router.flush()
            require(harness.outbox.count <= 1, "a stranger gets one reply at most")
        case 2, 3: Self.deliverRTP(body, &harness, client)
        case 4:
            if action & 8 == 0 {
                Self.deliverRTCP(body, &harness, client)
            } else {
                Self.deliverNACK(body, &harness, client)
            }
        case 5:
            var body = FuzzInput(body.baseAddress?.assumingMemoryBound(to: UInt8.self), body.count)
            harness.now = harness.now + .milliseconds(Int64(body.word() & 0x1FFF))
            client.peer.handleTimeout(at: harness.now)
            harness.router.handleTimers(at: harness.now)
        case 6: Self.deliverCheck(action, body, &harness, client)
        default: Self.command(action, &harness)
        }
    }

    private static func deliverRTP(
        _ body: UnsafeRawBufferPointer,
        _ harness: inout RouterHarness,
        _ client: RouterClient
    ) {
        // The length that the sender means: the fixed header alone when the rest is damaged.
        let count = body.count
        guard count >= 12 else { return }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count + 16, alignment: 1)
        defer { buffer.deallocate() }
        buffer.copyMemory(from: body)
        buffer[0] = buffer[0] & 0x3F | 0x80
        guard let headerLength = Self.headerLength(UnsafeRawBufferPointer(rebasing: buffer[0..<count])) else { return }
        let length = client.seal(buffer, headerLength: headerLength, payloadLength: count - headerLength)
        guard length > 0 else { return }
        harness.router.receive(
            UnsafeMutableRawBufferPointer(rebasing: buffer[0..<length]),
            from: client.address,
            socket: 0,
            at: harness.now
        )
    }

    private static func headerLength(_ packet: UnsafeRawBufferPointer) -> Int? {
        var length = 12 + 4 * Int(packet[0] & 15)
        if packet[0] & 0x10 != 0 {
            guard packet.count >= length + 4 else { return nil }
            length += 4 + 4 * (Int(packet[length + 2]) << 8 | Int(packet[length + 3]))
        }
        return length <= packet.count ? length : nil
    }

    private static func deliverRTCP(
        _ body: UnsafeRawBufferPointer,
        _ harness: inout RouterHarness,
        _ client: RouterClient
    ) {
        guard body.count >= 8 else { return }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: body.count + 20, alignment: 1)
        defer { buffer.deallocate() }
        buffer.copyMemory(from: body)
        buffer[0] = buffer[0] & 0x3F | 0x80
        if !(192...223).contains(buffer[1]) { buffer[1] = 200 + buffer[1] % 7 }
        let length = client.peer.sealRTCP(length: body.count, in: buffer)
        guard length > 0 else { return }
        harness.router.receive(
            UnsafeMutableRawBufferPointer(rebasing: buffer[0..<length]),
            from: client.address,
            socket: 0,
            at: harness.now
        )
    }

    /// Asks for what was just sent, and for what was sent before it: numbers that the fuzzer cannot guess.
    private static func deliverNACK(
        _ body: UnsafeRawBufferPointer,
        _ harness: inout RouterHarness,
        _ client: RouterClient
    ) {
        guard let last = client.lastReceived else { return }
        var packet: [UInt8] = [0x81, 205, 0, 2, 0, 0, 0, 1]
        for shift in stride(from: 24 as UInt32, through: 0, by: -8) {
            packet.append(UInt8(truncatingIfNeeded: last.ssrc >> shift))
        }
        var body = FuzzInput(body.baseAddress?.assumingMemoryBound(to: UInt8.self), body.count)
        for _ in 0..<8 where !body.isEmpty {
            let first = last.sequence &- UInt16(body.byte())
            let following = body.word()
            packet += [UInt8(first >> 8), UInt8(first & 255), UInt8(following >> 8), UInt8(following & 255)]
            packet[3] += 1
        }
        packet.withUnsafeBytes { Self.deliverRTCP($0, &harness, client) }
    }

    /// A check with the right name and password, from one of four addresses, with attributes of the fuzzer's.
    private static func deliverCheck(
        _ action: UInt8,
        _ body: UnsafeRawBufferPointer,
        _ harness: inout RouterHarness,
        _ client: RouterClient
    ) {
        var builder = STUNMessageBuilder(.request, transactionID: STUNTransactionID(high: 1, low: UInt64(action)))
        builder.addUsername("\(client.configuration.localUsernameFragment):cli1".utf8)
        if action & 8 != 0 { builder.addUseCandidate() }
        var body = FuzzInput(body.baseAddress?.assumingMemoryBound(to: UInt8.self), body.count)
        while !body.isEmpty {
            let type = body.word()
            builder.add(STUNAttributeType(rawValue: type), Array(body.take(Int(body.byte()))))
        }
        let datagram = builder.finish(key: STUNIntegrityKey(RouterHarness.serverPassword.utf8))
        let source = client.address.withPort(client.address.port + UInt16(action >> 4 & 3))
        harness.deliver(datagram, from: source)
    }

    private static func command(_ action: UInt8, _ harness: inout RouterHarness) {
        let flag = action & 8 != 0
        let index = Int(action >> 4 & 1)
        let section = SectionReference(session: Self.id, mid: ["4", "5"][index])
        let track = PublishedTrack(session: Self.id, mid: ["1", "2"][index])
        switch action >> 6 {
        case 0: harness.router.setPaused(flag, because: .subscriber, for: section, at: harness.now)
        case 1: harness.router.setMuted(flag, for: track, at: harness.now)
        case 2: harness.router.unbind(section, at: harness.now)
        default: try? harness.router.bind(track, to: section, at: harness.now)
        }
    }
}
