import Basics
import CongestionControl
import Foundation

/// The best set of layers, found by trying all, and the worth of a set: written apart from the allocator.
enum KnapsackOracle {
    static func utility(_ request: AllocationRequest, _ decision: AllocationDecision) -> Double {
        for index in 0..<request.offerCount {
            let offer = request.offers[index]
            if Int8(offer.spatial) == decision.spatial, Int8(offer.temporal) == decision.temporal {
                return self.utility(request, offer)
            }
        }
        return 0
    }

    static func utility(_ request: AllocationRequest, _ offer: LayerOffer) -> Double {
        var pixels = Double(offer.width) * Double(offer.height)
        if request.viewportWidth > 0 {
            pixels = min(pixels, Double(request.viewportWidth) * Double(request.viewportHeight))
        }
        let motion = offer.framesPerSecond >= 30 ? 1 : offer.framesPerSecond >= 15 ? 0.85 : 0.6
        return Double(request.weight) * log2(1 + pixels / 14_400) * motion
    }

    static func basePrice(_ request: AllocationRequest) -> Int64 {
        self.allowed(request).map(\.bitrate.bitsPerSecond).min() ?? 0
    }

    /// The highest sum of utilities with one layer of each request within the budget.
    static func best(_ requests: [AllocationRequest], budget: Int64) -> Double {
        // Kept: the sets that no other beats in price and worth.
        var front: [(price: Int64, worth: Double)] = [(0, 0)]
        for request in requests {
            var next: [(price: Int64, worth: Double)] = []
            for offer in self.allowed(request) {
                let worth = self.utility(request, offer)
                for point in front where point.price + offer.bitrate.bitsPerSecond <= budget {
                    next.append((point.price + offer.bitrate.bitsPerSecond, point.worth + worth))
                }
            }
            next.sort { ($0.price, -$0.worth) < ($1.price, -$1.worth) }
            front = []
            for point in next where point.worth > front.last?.worth ?? -1 { front.append(point) }
        }
        return front.last?.worth ?? 0
    }

    /// Without those that have fewer frames than a cheaper one with all.
    static func allowed(_ request: AllocationRequest) -> [LayerOffer] {
        let offers = (0..<request.offerCount).map { request.offers[$0] }
            .filter { $0.spatial <= request.maximumSpatial && $0.temporal <= request.maximumTemporal }
        let full = min(24, 0.8 * (offers.map(\.framesPerSecond).max() ?? 0))
        return offers.filter { offer in
            offer.framesPerSecond >= full
                || !offers.contains { $0.framesPerSecond >= full && $0.bitrate <= offer.bitrate }
        }
    }
}
