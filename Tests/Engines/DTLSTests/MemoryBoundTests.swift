import Basics
import COpenSSL
import DTLS
import Glibc
import TestSupport
import Testing

/// What OpenSSL has allocated: each block has its size in the 16 bytes before it.
private enum CountedHeap {
    nonisolated(unsafe) static var byteCount = 0

    static func allocate(_ count: Int) -> UnsafeMutableRawPointer? {
        guard let block = malloc(count + 16) else { return nil }
        block.storeBytes(of: count, as: Int.self)
        Self.byteCount += count
        return block + 16
    }

    static func free(_ pointer: UnsafeMutableRawPointer?) {
        guard let pointer else { return }
        Self.byteCount -= (pointer - 16).load(as: Int.self)
        Glibc.free(pointer - 16)
    }

    static func reallocate(_ pointer: UnsafeMutableRawPointer?, _ count: Int) -> UnsafeMutableRawPointer? {
        guard let new = Self.allocate(count) else { return nil }
        if let pointer { new.copyMemory(from: pointer, byteCount: min(count, (pointer - 16).load(as: Int.self))) }
        Self.free(pointer)
        return new
    }

    /// Only before OpenSSL's first use in the process.
    static func install() -> Bool {
        CRYPTO_set_mem_functions(
            { count, _, _ in CountedHeap.allocate(count) },
            { pointer, count, _, _ in CountedHeap.reallocate(pointer, count) },
            { pointer, _, _ in CountedHeap.free(pointer) }
        ) == 1
    }
}

/// In a process of their own, so that the heap is only theirs.
@Suite("DTLS memory (A-07)")
struct MemoryBoundTests {
    /// Whether one that is half open holds less than 64 KiB, before and after a storm of fragments.
    private static func isBounded(_ role: DTLSSession.Role) throws -> Bool {
        guard CountedHeap.install() else { exit(3) }
        let certificate = try DTLSCertificate(unixSeconds: 1_790_000_000)
        let hello = try (0..<2).map { try Fixture.bytes("chromium-clienthello-\($0).bin") }
        func halfOpen() throws -> DTLSSession {
            var session = try DTLSSession(role: role, certificate: certificate, expectedFingerprints: [], at: .zero)
            var outcome = Outcome()
            if role == .server { for part in hello { session.handle(part, at: .zero) } }
            guard !session.drain(into: &outcome, at: .zero).isEmpty else { exit(2) }
            return session
        }
        // What OpenSSL keeps for the whole process comes with the first.
        var first = try halfOpen()
        let before = CountedHeap.byteCount
        var second = try halfOpen()
        let single = CountedHeap.byteCount - before

        var random = SeededRandom(seed: 7)
        var outcome = Outcome()
        let lengths: [UInt8: UInt32] =
            role == .server
            ? [1: 8_192, 11: 8_192, 16: 512, 15: 1_100, 20: 12] : [2: 1_024, 11: 6_144, 12: 1_300, 13: 1_024]
        let types = lengths.keys.sorted()
        for count in 0..<100_000 {
            var type = types[count % types.count]
            let sequence = UInt16.random(in: 0...10, using: &random)
            // The most that a server may have begun; two kinds under one number would end it.
            if role == .client, (0...4).contains(sequence) { type = [2, 11, 11, 12, 13][Int(sequence)] }
            let length = lengths[type, default: 0]
            // Never whole: what is nonsense would end it.
            let offset = UInt32.random(in: (role == .server ? 0 : 3)..<length - 4, using: &random)
            let fragment = Forged.fragment(type: type, length: length, sequence: sequence, offset: offset, [1, 2, 3])
            let isNextEpoch = count % 50 == 0
            let record = Forged.record(
                type: 22,
                epoch: isNextEpoch ? 1 : 0,
                sequence: UInt32(count),
                isNextEpoch ? [UInt8](repeating: 0, count: 900) : fragment
            )
            second.handle(record, at: .zero)
            _ = second.drain(into: &outcome, at: .zero)
            outcome.transmitted = []
        }
        let stormed = CountedHeap.byteCount - before
        first.shutdown(at: .zero)
        second.shutdown(at: .zero)
        return outcome.failure == nil && single < 64 << 10 && stormed < 64 << 10
    }

    @Test("a half-open handshake holds less than 64 KiB, and 100,000 fragments do not make it more")
    func halfOpen() async {
        await #expect(processExitsWith: .success) { exit(try Self.isBounded(.server) ? 0 : 1) }
    }

    @Test("so does one that the server has begun itself")
    func halfOpenAsClient() async {
        await #expect(processExitsWith: .success) { exit(try Self.isBounded(.client) ? 0 : 1) }
    }
}
