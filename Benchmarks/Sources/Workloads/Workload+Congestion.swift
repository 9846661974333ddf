import Basics
import CongestionControl
import RTP

extension Workload {
    /// What a subscriber's bandwidth costs beside its packets: every 50 to 100 ms, and with each change of what is wanted.
    static func congestion() -> [Workload] {
        let path = FeedbackPath()
        let room = CrowdedRoom()
        return [
            Workload("Feedback, 50 packets: sent, told of, estimated", repetitions: 1_000) { path.run($0) },
            Workload("Allocation, 50 tracks of 9 layers", repetitions: 1_000) { room.run($0) },
        ]
    }

    /// A subscriber on a link of 11 Mbit/s that loses one packet in 50: each 50 ms it is sent 50 packets and tells of them.
    private final class FeedbackPath {
        private static let count = 50
        private var estimator = BandwidthEstimator(configuration: EstimatorConfiguration(), at: .zero)
        private var builder = TransportFeedbackBuilder(senderSSRC: SSRC(1), mediaSSRC: SSRC(2))
        private var now = Instant.zero
        private let buffer = Buffer(1_536)
        private let arrivals = UnsafeMutableBufferPointer<PacketArrival>.allocate(capacity: FeedbackPath.count)

        init() {
            self.arrivals.initialize(repeating: PacketArrival(SequenceNumber(0), microseconds: nil))
        }

        deinit { self.arrivals.deallocate() }

        func run(_ count: Int) {
            for _ in 0..<count { self.tell() }
            BlackHole.take(Int(truncatingIfNeeded: self.estimator.estimate.bitrate.bitsPerSecond))
        }

        /// - Returns: how many bytes the feedback about `arrivals` has.
        private func write() -> Int {
            var writer = RTCPWriter(MutableRawSpan(_unsafeBytes: self.buffer.bytes))
            _ = self.builder.append(Span(_unsafeElements: UnsafeBufferPointer(self.arrivals)), to: &writer)
            return writer.count
        }

        private func handle(_ packet: borrowing RTCPPacketView, at now: Instant) {
            guard let feedback = packet.transportFeedback else { return }
            self.estimator.handle(feedback, at: now)
        }

        private func tell() {
            for index in 0..<Self.count {
                self.now = self.now + .milliseconds(1)
                let number = self.estimator.sent(byteCount: 1_172, probe: 0, isPadding: false, at: self.now)
                let arrival = self.now.nanoseconds / 1_000 + 1_000_000_000 + Int64(index & 3) * 100
                self.arrivals[index] = PacketArrival(number, microseconds: index == 20 ? nil : arrival)
            }
            let length = self.write()
            let now = self.now
            let written = UnsafeRawBufferPointer(rebasing: self.buffer.bytes[..<length])
            _ = forEachRTCPPacket(in: RawSpan(_unsafeBytes: written)) { packet in self.handle(packet, at: now) }
            if now >= self.estimator.nextDeadline { self.estimator.advance(to: now) }
        }
    }

    /// A subscriber to 50 videos of three spatial and three temporal layers each. Its estimate goes up and down by a
    /// factor of ten, so that layers change in every run.
    private final class CrowdedRoom {
        private static let count = 50
        private var allocator = BandwidthAllocator(at: .zero)
        private let requests = UnsafeMutableBufferPointer<AllocationRequest>.allocate(capacity: CrowdedRoom.count)
        private let decisions = UnsafeMutableBufferPointer<AllocationDecision>.allocate(capacity: CrowdedRoom.count)
        private var now = Instant.zero
        private var isRich = false

        init() {
            for index in 0..<Self.count {
                var request = AllocationRequest(id: UInt32(index + 1), weight: index == 0 ? 4 : 1)
                for spatial in 0..<3 as Range<UInt8> {
                    for temporal in 0..<3 as Range<UInt8> {
                        request.add(
                            LayerOffer(
                                spatial: spatial,
                                temporal: temporal,
                                bitrate: .kbps([90, 120, 150][Int(temporal)] << Int64(spatial * 2)),
                                width: 320 << Int32(spatial),
                                height: 180 << Int32(spatial),
                                framesPerSecond: [7.5, 15, 30][Int(temporal)]
                            )
                        )
                    }
                }
                self.requests.initializeElement(at: index, to: request)
            }
            self.decisions.initialize(repeating: AllocationDecision(spatial: -1, temporal: -1, reason: .nothingOffered))
        }

        deinit {
            self.requests.deallocate()
            self.decisions.deallocate()
        }

        func run(_ count: Int) {
            for _ in 0..<count {
                self.now = self.now + .seconds(2)
                self.isRich.toggle()
                let bitrate = Bitrate.kbps(self.isRich ? 50_000 : 5_000)
                var decisions = MutableSpan(_unsafeElements: self.decisions)
                let summary = self.allocator.allocate(
                    Span(_unsafeElements: UnsafeBufferPointer(self.requests)),
                    estimate: BandwidthEstimate(bitrate: bitrate, pacingRate: bitrate, source: .transportFeedback),
                    audio: .kbps(40),
                    at: self.now,
                    into: &decisions
                )
                BlackHole.take(Int(truncatingIfNeeded: summary.allocated.bitsPerSecond))
            }
        }
    }
}
