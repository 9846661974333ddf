import Basics
import Forwarding
import RTP

extension Workload {
    private static var extensions: HeaderExtensionMap {
        var extensions = HeaderExtensionMap()
        for (index, kind) in HeaderExtension.allCases.enumerated() { extensions[kind] = UInt8(index + 1) }
        return extensions
    }

    /// The steps of the packet path, one by one.
    static func wire() -> [Workload] {
        let extensions = Self.extensions
        let packet = Buffer(
            Packets.rtp(payloadType: 96, ssrc: 2_000, mid: 0x31, payload: Packets.deltaFrame, byteCount: 1_100)
        )
        return [
            Workload("RTP header, parse") { count in
                for index in 0..<count {
                    Packets.setSequence(index, in: packet.bytes)
                    let span = RawSpan(_unsafeBytes: UnsafeRawBufferPointer(packet.bytes))
                    guard let header = RTPHeaderInfo(span, extensions: extensions) else { return }
                    BlackHole.take(header.headerLength &+ Int(header.sequenceNumber.value))
                }
            },
            Workload("RTP header, write") { count in
                var header = OutgoingHeader(
                    marker: true,
                    payloadType: 96,
                    sequenceNumber: 0,
                    timestamp: 1,
                    ssrc: SSRC(1),
                    extensions: extensions
                )
                header.mid = ShortText("1")
                header.absoluteSendTime = AbsoluteSendTime(rawValue: 77)
                header.transportSequenceNumber = 1
                for index in 0..<count {
                    header.sequenceNumber = UInt16(truncatingIfNeeded: index)
                    var target = MutableRawSpan(_unsafeBytes: packet.bytes)
                    BlackHole.take(header.write(into: &target)?.headerLength ?? 0)
                }
            },
            Self.rewriting(leavesOut: false), Self.rewriting(leavesOut: true), Self.caching(packet),
        ]
    }

    /// - Parameter leavesOut: every second packet is of a temporal layer that the receiver does not get.
    private static func rewriting(leavesOut: Bool) -> Workload {
        var random = RandomSource.seeded(state: 1)
        var rewriter = RTPRewriter(kind: .video, clockRate: 90_000, using: &random)
        var sequence: Int64 = 65_536
        _ = rewriter.switchSource(to: 0, sequence: sequence, timestamp: 0, referenceTimestamp: nil, at: .zero)
        return Workload(leavesOut ? "RTP numbers, rewrite one and leave one out" : "RTP numbers, rewrite") { count in
            for _ in 0..<count {
                let rewritten = rewriter.rewrite(
                    source: 0,
                    sequence: sequence,
                    timestamp: UInt32(truncatingIfNeeded: sequence),
                    marker: false,
                    at: Instant(nanoseconds: sequence &* 1_000_000)
                )
                BlackHole.take(Int(truncatingIfNeeded: rewritten?.sequence ?? 0))
                sequence += 1
                guard leavesOut else { continue }
                BlackHole.take(rewriter.leaveOut(source: 0, sequence: sequence) ? 1 : 0)
                sequence += 1
            }
        }
    }

    private static func caching(_ packet: Buffer) -> Workload {
        let cache = Cache()
        return Workload("Packet cache, store and look up") { cache.run($0, packet.bytes) }
    }

    private final class Cache {
        private var cache = PacketCache<UInt64>(kind: .video)
        private var sequence: Int64 = 65_536

        func run(_ count: Int, _ packet: UnsafeMutableRawBufferPointer) {
            for _ in 0..<count {
                self.sequence += 1
                Self.storeAndLookUp(&self.cache, self.sequence, packet)
            }
        }

        private static func storeAndLookUp(
            _ cache: inout PacketCache<UInt64>,
            _ sequence: Int64,
            _ packet: UnsafeMutableRawBufferPointer
        ) {
            let now = Instant(nanoseconds: sequence &* 1_000_000)
            let span = RawSpan(_unsafeBytes: UnsafeRawBufferPointer(packet))
            cache.store(sequence, bytes: span, headerLength: Packets.headerLength, facts: 7, at: now)
            // The twentieth packet back, as a NACK after a round trip asks for it.
            if let found = cache.lookup(sequence - 20, roundTripTime: .milliseconds(50), at: now) {
                BlackHole.take(found.bytes.byteCount)
            }
        }
    }
}
