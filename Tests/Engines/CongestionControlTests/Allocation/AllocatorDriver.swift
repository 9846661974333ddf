import Basics
import CongestionControl
import TestSupport

/// A subscriber whose estimate and tracks the test sets, in virtual time.
struct AllocatorDriver: ~Copyable {
    var allocator: BandwidthAllocator
    var now: Instant
    var requests: [AllocationRequest]
    var audio = Bitrate.kbps(40)
    private(set) var decisions: [AllocationDecision] = []

    init(_ requests: [AllocationRequest], maximumTracks: Int = 64, at now: Instant = .zero) {
        self.allocator = BandwidthAllocator(maximumTracks: maximumTracks, at: now)
        self.now = now
        self.requests = requests
    }

    static func estimate(_ kilobits: Int64, isCongested: Bool = false) -> BandwidthEstimate {
        BandwidthEstimate(
            bitrate: .kbps(kilobits),
            pacingRate: .kbps(kilobits),
            roundTripTime: .milliseconds(50),
            isCongested: isCongested,
            source: .transportFeedback
        )
    }

    @discardableResult
    mutating func allocate(_ estimate: BandwidthEstimate) -> AllocationSummary {
        var decisions = Array(repeating: AllocationDecision.nothing(.notVisible), count: self.requests.count)
        let requests = self.requests
        var span = decisions.mutableSpan
        let summary = self.allocator.allocate(
            requests.span,
            estimate: estimate,
            audio: self.audio,
            at: self.now,
            into: &span
        )
        self.decisions = decisions
        return summary
    }

    @discardableResult
    mutating func allocate(_ kilobits: Int64, isCongested: Bool = false) -> AllocationSummary {
        self.allocate(Self.estimate(kilobits, isCongested: isCongested))
    }

    /// Allocates every 50 ms. Returns how often anything changed.
    @discardableResult
    mutating func run(for duration: Nanoseconds, _ kilobits: Int64, isCongested: Bool = false) -> Int {
        let end = self.now + duration
        var changes = 0
        while self.now < end {
            self.now = self.now + .milliseconds(50)
            if self.allocate(kilobits, isCongested: isCongested).changed { changes += 1 }
        }
        return changes
    }

    /// Spatial and temporal layer of a track as "2.1", or "-".
    func layer(_ index: Int = 0) -> String {
        let decision = self.decisions[index]
        return decision.spatial < 0 ? "-" : "\(decision.spatial).\(decision.temporal)"
    }

    /// The total with audio, in kbit/s.
    var total: Int64 {
        self.decisions.reduce(self.audio.bitsPerSecond) { $0 + $1.bitrate.bitsPerSecond } / 1_000
    }
}

extension AllocationRequest {
    /// Simulcast of 150, 500 and 1,500 kbit/s with three temporal layers each (0.5, 0.7 and 1.0 of the bitrate).
    static func camera(_ id: UInt32, weight: Float = 1, scale: Double = 1, isOnStage: Bool = false) -> Self {
        var request = Self(id: id, weight: weight, isOnStage: isOnStage)
        request.addLadder(scale: scale)
        return request
    }

    static func screen(_ id: UInt32, kilobits: Int64 = 2_000) -> Self {
        var request = Self(id: id, weight: 8, isScreenShare: true, isOnStage: true)
        for (spatial, size) in [(960, 540), (1_920, 1_080)].enumerated() {
            for (temporal, frames) in [(5, 0.4), (15, 0.7), (30, 1.0)].enumerated() {
                let share = spatial == 0 ? 0.3 : 1
                request.add(
                    LayerOffer(
                        spatial: UInt8(spatial),
                        temporal: UInt8(temporal),
                        bitrate: Bitrate(bitsPerSecond: Int64(Double(kilobits * 1_000) * share * frames.1)),
                        width: Int32(size.0),
                        height: Int32(size.1),
                        framesPerSecond: Float(frames.0)
                    )
                )
            }
        }
        return request
    }

    mutating func addLadder(scale: Double, layers: [Int] = [0, 1, 2]) {
        for spatial in layers {
            for temporal in 0..<3 {
                let kilobits = [150.0, 500, 1_500][spatial] * [0.5, 0.7, 1.0][temporal] * scale
                self.add(
                    LayerOffer(
                        spatial: UInt8(spatial),
                        temporal: UInt8(temporal),
                        bitrate: Bitrate(bitsPerSecond: Int64(kilobits * 1_000)),
                        width: Int32(320 << spatial),
                        height: Int32(180 << spatial),
                        framesPerSecond: [7.5, 15, 30][temporal]
                    )
                )
            }
        }
    }

    /// Some track that some publisher might have, with random layers, tile and weight.
    static func random(_ id: UInt32, using random: inout SeededRandom) -> Self {
        var request = Self.camera(
            id,
            weight: [1, 1, 1, 2, 4, 8].randomElement(using: &random) ?? 1,
            scale: Double.random(in: 0.4...2, using: &random)
        )
        if random.chance(0.3) {
            request.viewportWidth = Int32(Int.random(in: 100...1_920, using: &random))
            request.viewportHeight = request.viewportWidth * 9 / 16
        }
        if random.chance(0.2) { request.maximumSpatial = UInt8(Int.random(in: 0...2, using: &random)) }
        if random.chance(0.2) { request.maximumTemporal = UInt8(Int.random(in: 0...2, using: &random)) }
        return request
    }
}
