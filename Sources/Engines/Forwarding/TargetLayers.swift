import RTP

/// A dependency structure seen as operating points: which decode target serves a subscriber at (spatial, temporal), and
/// which operating points each template's frames belong to.
///
/// Made anew with each structure and each change of what the publisher makes; the packet path only looks things up.
struct TargetLayers: Sendable, BitwiseCopyable {
    /// By operating point 4 * spatial + temporal: the decode target; -1 = none.
    private var targets = InlineArray<16, Int8>(repeating: -1)
    /// By operating point: every decode target whose frames are all among those of the one that serves it.
    private var coveredTargets = InlineArray<16, UInt32>(repeating: 0)
    private var members = InlineArray<64, UInt16>(repeating: 0)
    private var switches = InlineArray<64, UInt16>(repeating: 0)
    /// 0...3.
    private(set) var topSpatialID: UInt8 = 0

    init() {}

    /// - Parameter active: a bit for each decode target that the publisher makes.
    init(_ structure: borrowing DependencyStructure, active: UInt32) {
        for point in 0..<16 {
            let target = Self.target(at: point, structure, active: active)
            self.targets[point] = Int8(truncatingIfNeeded: target)
            guard target >= 0 else { continue }
            self.topSpatialID = max(self.topSpatialID, min(structure.spatialIDOfTarget[target], 3))
            var covered = active & structure.allTargets
            for index in 0..<structure.templateCount {
                let present = structure.templates[index].indications.present
                if present & (1 << UInt32(target)) == 0 { covered &= ~present }
            }
            self.coveredTargets[point] = covered
        }
        for index in 0..<structure.templateCount {
            let indications = structure.templates[index].indications
            self.members[index] = self.points(of: indications.present).bits
            self.switches[index] = self.points(of: indications.switchable).bits
        }
    }

    /// The highest active decode target that is not above an operating point; the lowest of all where all are above.
    private static func target(at point: Int, _ structure: borrowing DependencyStructure, active: UInt32) -> Int {
        var best = -1
        var bestRank = -1
        var lowest = -1
        var lowestRank = Int.max
        for target in 0..<structure.targetCount where active & (1 << UInt32(target)) != 0 {
            let spatial = Int(structure.spatialIDOfTarget[target])
            let temporal = Int(structure.temporalIDOfTarget[target])
            let rank = spatial * 8 + temporal
            if rank < lowestRank { (lowest, lowestRank) = (target, rank) }
            guard spatial <= point >> 2, temporal <= point & 3, rank > bestRank else { continue }
            (best, bestRank) = (target, rank)
        }
        return best >= 0 ? best : lowest
    }

    /// From decode targets to the operating points that they serve.
    func points(of mask: UInt32) -> LayerSet {
        var bits: UInt16 = 0
        for point in 0..<16 where self.targets[point] >= 0 && mask & (1 << UInt32(self.targets[point])) != 0 {
            bits |= 1 << UInt16(point)
        }
        return LayerSet(bits: bits)
    }

    /// - Parameter template: 0...63.
    func members(ofTemplate template: Int) -> LayerSet { LayerSet(bits: self.members[template]) }
    func switches(ofTemplate template: Int) -> LayerSet { LayerSet(bits: self.switches[template]) }

    /// What a subscriber at an operating point can decode.
    func coveredTargets(spatial: Int, temporal: Int) -> UInt32 {
        self.coveredTargets[(spatial & 3) * 4 + temporal & 3]
    }
}
