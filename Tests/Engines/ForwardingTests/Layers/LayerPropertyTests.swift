import Forwarding
import TestSupport
import Testing

@Suite("Layers: what is forwarded can be decoded, whatever is lost, late and wanted")
struct LayerPropertyTests {
    /// Of each format; in all of them together more than a million where the optimizer is on.
    private static var packets: Int {
        #if DEBUG
            8_000
        #else
            80_000
        #endif
    }

    @Test(arguments: LayeredFormat.all) func `no reference is missing, no number twice, no gap of ours`(
        format: LayeredFormat
    ) {
        var kinds: Set<SelectedLayers> = []
        for seed in [1, 2, 3] as [UInt64] {
            var options = LayerScenario.Options()
            options.packets = Self.packets / 3
            var scenario = LayerScenario(format, options, seed: seed)
            scenario.run()
            let faults = scenario.model.faults
            let isSound = faults.isEmpty
            #expect(isSound, "\(format), seed \(seed): \(faults.count), \(faults.prefix(3))")
            // Where a lower layer went out before it was known that the upper one cannot.
            let unmarked = scenario.model.unmarked
            #expect(
                unmarked.count <= 1 + scenario.model.wholePictures / 1_000,
                "\(format), seed \(seed): \(unmarked.prefix(3))"
            )
            kinds.formUnion(scenario.model.sentFrames.keys)
        }
        #expect(kinds.count == format.layerCount * format.temporalLayers, "\(format)")
    }

    @Test(arguments: LayeredFormat.all) func `without loss the target is reached and nothing stalls`(
        format: LayeredFormat
    ) {
        var options = LayerScenario.Options()
        options.packets = Self.packets
        options.loss = 0
        options.reordered = 0
        options.retargeting = 0.008
        let seed: UInt64 = 7
        var scenario = LayerScenario(format, options, seed: seed)
        scenario.run()
        let faults = scenario.model.faults + scenario.model.unmarked
        let isSound = faults.isEmpty
        #expect(isSound, "\(format), seed \(seed): \(faults.count), \(faults.prefix(3))")
        #expect(scenario.stalls == 0, "\(format), seed \(seed)")
        #expect(scenario.settledPictures > 300, "\(format), seed \(seed)")
        #expect(scenario.onTargetPictures == scenario.settledPictures, "\(format), seed \(seed)")
    }
}
