import Basics
import CongestionControl
import Testing

@Suite("Which simulcast layers are wanted")
struct EncodingDemandTests {
    /// At `seconds`, the highest wanted layer becomes `wanted`; then `layers` are to be sent.
    private struct Step {
        var seconds: Double
        var wanted: Int?
        var layers: UInt8
        init(_ seconds: Double, _ wanted: Int?, _ layers: UInt8) {
            (self.seconds, self.wanted, self.layers) = (seconds, wanted, layers)
        }
    }

    private static let tables: [[Step]] = [
        // Nobody yet: all for 5 s, the lowest for 30 s.
        [Step(0, nil, 7), Step(4.9, nil, 7), Step(5, nil, 1), Step(29.9, nil, 1), Step(30, nil, 0), Step(90, 1, 3)],
        // Up at once, down after 5 s.
        [Step(10, 0, 1), Step(11, 2, 7), Step(12, 1, 7), Step(16.9, 1, 7), Step(17, 1, 3), Step(17.1, 2, 7)],
        // A short glance does not switch anything off.
        [Step(1, 2, 7), Step(2, 0, 7), Step(6.5, 2, 7), Step(7, 0, 7), Step(11.5, 0, 7), Step(12, 0, 1)],
        // Down in two steps: each layer by its own time.
        [
            Step(0, 2, 7), Step(10, 1, 7), Step(12, 0, 7), Step(15, 0, 3), Step(17, 0, 1), Step(20, nil, 1),
            Step(50, nil, 0),
        ],
        // Layers that do not exist are not wanted.
        [Step(1, 9, 7), Step(2, -4, 7), Step(7, -4, 1)],
    ]

    @Test("up at once, down after 5 s, the lowest kept for 30 s", arguments: Self.tables.indices)
    func table(index: Int) {
        var demand = EncodingDemand(layerCount: 3, at: .zero)
        for step in Self.tables[index] {
            let now = Instant(nanoseconds: Int64(step.seconds * 1e9))
            let before = demand.layers
            let changed = demand.update(highestWanted: step.wanted, at: now)
            #expect(demand.layers == step.layers, "at \(step.seconds) s")
            #expect(changed == (before != demand.layers))
        }
    }

    @Test("its deadline is when the next layer falls away, and there is none when all is as wanted")
    func deadlines() {
        var demand = EncodingDemand(layerCount: 3, at: .zero)
        #expect(demand.nextDeadline == Instant(nanoseconds: 5_000_000_000))
        var changed = demand.advance(to: demand.nextDeadline)
        #expect(changed)
        #expect(demand.nextDeadline == Instant(nanoseconds: 30_000_000_000))
        changed = demand.advance(to: demand.nextDeadline)
        #expect(changed)
        #expect(demand.nextDeadline == .distantFuture)
        #expect(demand.layers == 0)
        changed = demand.update(highestWanted: 1, at: Instant(nanoseconds: 31_000_000_000))
        #expect(changed)
        #expect(demand.nextDeadline == .distantFuture)
        #expect(demand.layers == 3)
    }
}
