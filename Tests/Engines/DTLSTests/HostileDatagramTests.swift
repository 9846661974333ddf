import Basics
import DTLS
import Foundation
import TestSupport
import Testing

/// Bytes of records as an attacker would make them.
enum Forged {
    static func record(type: UInt8, version: UInt16 = 0xfefd, epoch: UInt16, sequence: UInt32 = 1, _ body: [UInt8])
        -> [UInt8]
    {
        var writer = ByteWriter()
        writer.write(type)
        writer.write(version)
        writer.write(epoch)
        writer.write(UInt16(0))
        writer.write(sequence)
        writer.write(UInt16(body.count))
        writer.write(bytes: body)
        return writer.bytes
    }

    static func fragment(
        type: UInt8,
        length: UInt32,
        sequence: UInt16,
        offset: UInt32,
        fragmentLength: UInt32? = nil,
        _ body: [UInt8]
    ) -> [UInt8] {
        func uint24(_ value: UInt32) -> [UInt8] {
            [
                UInt8(truncatingIfNeeded: value >> 16), UInt8(truncatingIfNeeded: value >> 8),
                UInt8(truncatingIfNeeded: value),
            ]
        }
        let numbers = [UInt8(sequence >> 8), UInt8(sequence & 255)]
        return [type] + uint24(length) + numbers + uint24(offset) + uint24(fragmentLength ?? UInt32(body.count)) + body
    }

    static let fatalAlert = record(type: 21, epoch: 0, [2, 40])
}

enum Fixture {
    static func bytes(_ name: String, file: String = #filePath) throws -> [UInt8] {
        let tests = URL(fileURLWithPath: file).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return [UInt8](try Data(contentsOf: tests.appendingPathComponent("Fixtures/dtls/\(name)")))
    }

    /// Broken variations of what browsers really send: flipped bits, cuts, and one flight spliced into another.
    static func brokenFlights(_ count: Int, seed: UInt64) throws -> [[UInt8]] {
        let flights = try ["chromium", "firefox"].map { browser in
            try Self.bytes("\(browser)-clienthello-0.bin") + Self.bytes("\(browser)-clienthello-1.bin")
        }
        var random = SeededRandom(seed: seed)
        return (0..<count).map { index in
            var flight = flights[index % flights.count]
            let other = flights[(index + 1) % flights.count]
            switch index % 3 {
            case 0:
                for _ in 0..<Int.random(in: 1...40, using: &random) {
                    flight[Int.random(in: 0..<flight.count, using: &random)] ^=
                        1 << UInt8.random(in: 0...7, using: &random)
                }
            case 1: flight.removeLast(Int.random(in: 1..<flight.count, using: &random))
            default:
                let cut = Int.random(in: 1..<min(flight.count, other.count), using: &random)
                flight = Array(flight[..<cut]) + other[cut...]
            }
            return flight
        }
    }
}

@Suite("DTLS under attack")
struct HostileDatagramTests {
    private static let second = Instant(nanoseconds: 1_000_000_000)

    private static func server() throws -> DTLSSession {
        try DTLSSession(
            role: .server,
            certificate: Certificates.server,
            expectedFingerprints: [Certificates.client.fingerprint],
            at: .zero
        )
    }

    @Test("a ClientHello with TLS_NULL_WITH_NULL_NULL ends its own session at most (A-01)")
    func nullCipher() throws {
        let random = [UInt8](repeating: 0xAA, count: 32)
        let hello = [0xfe, 0xfd] + random + [0, 0, 0, 2, 0, 0, 1, 0, 0, 0]
        let fragment = Forged.fragment(type: 1, length: UInt32(hello.count), sequence: 0, offset: 0, hello)
        let attack = Forged.record(type: 22, epoch: 0, sequence: 0, fragment)
        var pair = try VirtualPair()
        for _ in 0..<1_000 {
            var victim = try Self.server()
            var outcome = Outcome()
            victim.handle(attack, at: .zero)
            _ = victim.drain(into: &outcome, at: .zero)
            try #require(outcome.keys == nil && outcome.failure != nil)
        }
        pair.connect()
        #expect(haveEqualKeys(pair.clientOutcome, pair.serverOutcome))
    }

    @Test("plaintext alerts and garbage end neither a handshake nor an association (A-02)")
    func plaintextAlerts() throws {
        var random = SeededRandom(seed: 0xA02)
        var pair = try VirtualPair()
        pair.flush()
        for step in 1...8 {
            for _ in 0..<20 {
                pair.client.handle(Forged.fatalAlert, at: pair.now)
                pair.server.handle(Forged.fatalAlert, at: pair.now)
                pair.server.handle(Forged.record(type: 22, epoch: 1, random.bytes(60)), at: pair.now)
                pair.server.handle(random.bytes(Int.random(in: 0...1_200, using: &random)), at: pair.now)
            }
            pair.run(until: Instant(nanoseconds: Int64(step) * 500_000))
        }
        pair.connect()
        #expect(haveEqualKeys(pair.clientOutcome, pair.serverOutcome))
        for _ in 0..<100 {
            pair.server.handle(Forged.fatalAlert, at: pair.now)
            pair.server.handle(Forged.record(type: 21, epoch: 1, random.bytes(26)), at: pair.now)
            pair.server.handle(Forged.record(type: 23, epoch: 1, random.bytes(100)), at: pair.now)
        }
        let isSent = pair.client.send([9], at: pair.now)
        pair.run(until: pair.now + .seconds(1))
        #expect(isSent && pair.serverOutcome.received == [[9]])
        #expect(pair.serverOutcome.failure == nil && !pair.serverOutcome.isClosed)
        #expect(pair.server.counters.ignoredAlerts >= 200)
    }

    @Test(
        "records that OpenSSL 3.0 was attacked with never reach it (A-08)",
        arguments: [
            (
                "AEAD record without room for its tag",
                Forged.record(type: 23, epoch: 1, [UInt8](repeating: 0, count: 23))
            ),
            ("AEAD record of one byte", Forged.record(type: 22, epoch: 1, [0])),
            ("epoch after the next", Forged.record(type: 22, epoch: 2, [UInt8](repeating: 0, count: 60))),
            ("last epoch", Forged.record(type: 23, epoch: 0xffff, [UInt8](repeating: 0, count: 60))),
            ("empty record", Forged.record(type: 22, epoch: 0, [])),
            ("unknown type", Forged.record(type: 26, epoch: 0, [1])),
            ("heartbeat", Forged.record(type: 24, epoch: 0, [1, 0xff, 0xff])),
            ("TLS version", Forged.record(type: 22, version: 0x0303, epoch: 0, [1])),
            ("unencrypted data", Forged.record(type: 23, epoch: 0, [1])),
            ("length past the datagram", Array(Forged.record(type: 22, epoch: 0, [1, 2, 3]).dropLast())),
            ("half a header", [22, 0xfe, 0xfd, 0, 0]),
        ]
    )
    func refusedRecords(name: String, record: [UInt8]) throws {
        var server = try Self.server()
        var outcome = Outcome()
        server.handle(record, at: .zero)
        #expect(server.drain(into: &outcome, at: .zero).isEmpty)
        #expect(server.counters.malformedRecords == 1)
        #expect(outcome.failure == nil)

        var pair = try VirtualPair()
        pair.connect()
        let before = pair.server.counters.malformedRecords
        pair.server.handle(record, at: pair.now)
        pair.flush()
        #expect(pair.serverOutcome.failure == nil)
        let isPlainHandshake = record.first == 22 && before == pair.server.counters.malformedRecords
        #expect(pair.server.counters.malformedRecords == before + 1 || isPlainHandshake)
    }

    @Test(
        "fragments that contradict themselves are refused (A-07)",
        arguments: [
            Forged.fragment(type: 1, length: 200, sequence: 0, offset: 0, []),
            Forged.fragment(type: 1, length: 200, sequence: 0, offset: 150, [UInt8](repeating: 0, count: 51)),
            Forged.fragment(type: 1, length: 0xff_ffff, sequence: 0, offset: 0, [1, 2, 3]),
            Forged.fragment(type: 1, length: 200, sequence: 0, offset: 0xff_ffff, [1, 2, 3]),
            Forged.fragment(type: 1, length: 200, sequence: 0, offset: 0, fragmentLength: 100, [1, 2, 3]),
            Forged.fragment(type: 1, length: 200, sequence: 9, offset: 0, [1, 2, 3]),
            Forged.fragment(type: 11, length: 8_193, sequence: 1, offset: 0, [1, 2, 3]),
            Forged.fragment(type: 20, length: 12, sequence: 4, offset: 0, [1, 2, 3]),
            [1, 0, 0],
        ]
    )
    func refusedFragments(fragment: [UInt8]) throws {
        var server = try Self.server()
        server.handle(Forged.record(type: 22, epoch: 0, fragment), at: .zero)
        #expect(server.counters.refusedFragments == 1)
        var outcome = Outcome()
        #expect(server.drain(into: &outcome, at: .zero).isEmpty && outcome.failure == nil)
    }

    @Test("no more than sixteen records of a datagram are looked at")
    func manyRecords() throws {
        var server = try Self.server()
        var outcome = Outcome()
        let datagram = (0..<90).flatMap { _ in Forged.fatalAlert }
        server.handle(datagram, at: .zero)
        #expect(server.counters.ignoredAlerts == 16)
        #expect(server.counters.malformedRecords == 1)
        #expect(server.drain(into: &outcome, at: .zero).isEmpty && outcome.failure == nil)
    }

    @Test("broken variations of browsers' flights do no harm in any state of a handshake")
    func brokenFlights() throws {
        let seeds = try Fixture.brokenFlights(60, seed: 2_611)
        var finished = 0
        for seed in seeds {
            for state in 0..<4 {
                var pair = try VirtualPair()
                pair.flush()
                pair.run(until: Instant(nanoseconds: Int64(state) * 1_000_000))
                for chunk in stride(from: 0, to: seed.count, by: 1_400) {
                    let datagram = Array(seed[chunk..<min(chunk + 1_400, seed.count)])
                    pair.server.handle(datagram, at: pair.now)
                    pair.client.handle(datagram, at: pair.now)
                }
                pair.connect(limit: Self.second)
                if haveEqualKeys(pair.clientOutcome, pair.serverOutcome) { finished += 1 }
            }
        }
        // A seed that comes before the genuine hello may take its place.
        #expect(finished > seeds.count * 2)
    }

    @Test("random datagrams with plausible headers do no harm")
    func randomRecords() throws {
        var random = SeededRandom(seed: 0xF022)
        var pair = try VirtualPair()
        pair.connect()
        for _ in 0..<5_000 {
            let body = random.bytes(Int.random(in: 0...200, using: &random))
            let record = Forged.record(
                type: UInt8.random(in: 19...26, using: &random),
                epoch: UInt16.random(in: 0...2, using: &random),
                sequence: UInt32.random(in: 0...100_000, using: &random),
                body
            )
            pair.server.handle(record, at: pair.now)
            pair.client.handle(record, at: pair.now)
        }
        pair.flush()
        #expect(pair.serverOutcome.failure == nil && pair.clientOutcome.failure == nil)
        // The forged sequence numbers must not have moved OpenSSL's replay window.
        let isSent = pair.client.send([1], at: pair.now)
        pair.run(until: pair.now + .seconds(1))
        #expect(isSent && pair.serverOutcome.received == [[1]])
    }
}
