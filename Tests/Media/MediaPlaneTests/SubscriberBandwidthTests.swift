import Basics
import CongestionControl
import Testing

@testable import MediaPlane

@Suite struct SubscriberBandwidthTests {
    private static func estimate(
        bitrate: Int64 = 234,
        usage: NetworkUsage = .normal,
        isDraining: Bool = false,
        isCongested: Bool = true,
        loss: Double = 0
    ) -> BandwidthEstimate {
        BandwidthEstimate(
            bitrate: .kbps(bitrate),
            pacingRate: .kbps(bitrate),
            usage: usage,
            isDraining: isDraining,
            isCongested: isCongested,
            lossFraction: loss,
            source: .transportFeedback
        )
    }

    /// What the allocator is told at some times, in seconds, of a path that is to carry 250 kbit/s.
    private static func trusted(_ estimates: [(second: Int64, estimate: BandwidthEstimate)]) -> [BandwidthEstimate] {
        var bandwidth = SubscriberBandwidth(configuration: EstimatorConfiguration(), at: .zero)
        var request = AllocationRequest(id: 1, weight: 1)
        request.add(LayerOffer(spatial: 0, temporal: 0, bitrate: .kbps(200)))
        request.add(LayerOffer(spatial: 1, temporal: 0, bitrate: .kbps(900)))
        let requests = [request]
        return estimates.map { second, estimate in
            bandwidth.trusting(estimate, requests: requests.span, audio: .kbps(50), at: .zero + .seconds(second))
        }
    }

    @Test func `what the loss model makes of a few lost packets holds no base layer back`() {
        for loss in [0.0, 0.023, 0.1] {
            let trusted = Self.trusted([(10, Self.estimate(loss: loss))])
            #expect(trusted.map(\.bitrate) == [.kbps(275)], "\(loss)")
            #expect(trusted.map(\.isCongested) == [false], "\(loss)")
        }
    }

    @Test func `base layers that fit are begun all the same, and layers above them are left to the allocator`() {
        let trusted = Self.trusted([
            (10, Self.estimate(bitrate: 300, loss: 0.03)), (11, Self.estimate(bitrate: 1_000, loss: 0.03)),
        ])
        #expect(trusted.map(\.bitrate) == [.kbps(300), .kbps(1_000)])
        #expect(trusted.map(\.isCongested) == [false, true])
    }

    @Test(arguments: [
        estimate(usage: .overusing),
        estimate(isDraining: true),
        estimate(loss: 0.11),
    ])
    func `a path that was found to be full is believed, for a minute`(found: BandwidthEstimate) {
        let low = Self.estimate(isCongested: false)
        let trusted = Self.trusted([(10, found), (11, low), (69, low), (70, low)])
        #expect(trusted.map(\.bitrate) == [.kbps(234), .kbps(234), .kbps(234), .kbps(275)])
        #expect(trusted.map(\.isCongested) == [true, false, false, false])
    }
}
