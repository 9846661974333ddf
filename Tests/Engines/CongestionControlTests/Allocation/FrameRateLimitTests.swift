import Basics
import CongestionControl
import Testing

@Suite struct FrameRateLimitTests {
    private static func request(_ rates: [[Float]]) -> AllocationRequest {
        var request = AllocationRequest(id: 1)
        for (spatial, rates) in rates.enumerated() {
            for (temporal, rate) in rates.enumerated() {
                request.add(
                    LayerOffer(
                        spatial: UInt8(spatial),
                        temporal: UInt8(temporal),
                        bitrate: Bitrate(bitsPerSecond: 100_000),
                        framesPerSecond: rate
                    )
                )
            }
        }
        return request
    }

    @Test(
        arguments: [
            (30, [[7.5, 15, 30]], .max), (15, [[7.5, 15, 30.1]], 1), (8, [[7.5, 15, 30]], 0), (5, [[7.5, 15, 30]], 0),
            (29, [[7.6, 15.2, 30.4]], .max), (10, [], .max), (15, [[15], [7.5, 15, 30]], 1),
        ] as [(Float, [[Float]], UInt8)]
    )
    func `frames are left out above the limit, with a tenth of tolerance`(
        limit: Float,
        rates: [[Float]],
        expected: UInt8
    ) {
        let highest = Self.request(rates).highestTemporal(framesPerSecond: limit)
        #expect(highest == expected)
    }

    @Test func `a layer that has just begun, and is measured as slow, does not lift the limit`() {
        for fresh: [Float] in [[0, 0, 0], [2, 4, 9], [5.5, 11, 16]] {
            for rates in [[[7.5, 15, 30], fresh], [fresh, [7.5, 15, 30]], [fresh, [7.5, 15, 30], fresh]] {
                let highest = Self.request(rates).highestTemporal(framesPerSecond: 15)
                #expect(highest == 1, "\(rates)")
            }
        }
    }
}
