import Basics
import Forwarding
import TestSupport
import Testing

/// `LayerSelector.decideAgain` is the short way for packets of the frame that was decided about last.
@Suite struct PacketsOfOneFrameTests {
    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func `the short way decides as the long one and leaves the same behind`(_ seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var long = LayerSelector()
        var short = LayerSelector()
        var frames: [Int64] = [0, 0]
        var shortCount = 0
        for step in 0..<4_000 {
            let now = Instant(nanoseconds: Int64(step) * 2_000_000)
            if random.chance(0.02) {
                let target = Int.random(in: -1...1, using: &random)
                long.setTarget(spatial: target, temporal: 3, at: now)
                short.setTarget(spatial: target, temporal: 3, at: now)
            }
            if step.isMultiple(of: 50) { #expect(long.tick(at: now) == short.tick(at: now)) }
            let layer = Int.random(in: 0...1, using: &random)
            let isNew = random.chance(0.3)
            if isNew { frames[layer] += 1 }
            var info = FrameInfo()
            // Sometimes one is late.
            info.frame = max(0, frames[layer] - (random.chance(0.05) ? 2 : 0))
            info.sequence = Int64(step)
            info.timestamp = UInt32(truncatingIfNeeded: info.frame * 3_000)
            if isNew { info.flags.formUnion(random.chance(0.1) ? [.first, .keyStart, .newest] : [.first, .newest]) }
            if random.chance(0.3) { info.flags.formUnion([.last, .completes]) }
            let expected = long.decide(layer: layer, info, at: now)
            let known = short.decideAgain(layer: layer, frame: info.frame, flags: info.flags, at: now)
            let decision = known ?? short.decide(layer: layer, info, at: now)
            if known != nil { shortCount += 1 }
            #expect(decision == expected, "seed \(seed), step \(step)")
            if expected.action == .switchAndForward {
                long.takeSwitch(to: layer, info, at: now)
                short.takeSwitch(to: layer, info, at: now)
            }
            #expect(short.layers == long.layers && short.stallCount == long.stallCount, "seed \(seed), step \(step)")
        }
        #expect(shortCount > 200, "seed \(seed)")
    }
}
