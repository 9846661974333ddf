import Basics
import Forwarding
import Testing

@Suite("Choosing a simulcast layer")
struct LayerSelectorTests {
    private static func milliseconds(_ count: Int64) -> Instant { Instant(nanoseconds: count * 1_000_000) }

    /// A selector and layers of one packet a frame.
    private struct Bench {
        var selector = LayerSelector()
        /// The rewriter takes no other source.
        var refusesSwitches = false
        private var frame: Int64 = 0

        /// What happens to the next frame of a layer.
        mutating func frame(_ layer: Int, isKey: Bool = false, at time: Int64 = 0) -> LayerDecision {
            let now = LayerSelectorTests.milliseconds(time)
            self.frame += 1
            var info = FrameInfo()
            info.frame = self.frame
            info.sequence = self.frame
            info.timestamp = UInt32(self.frame * 3_000)
            info.flags = [.newest, .first, .last, .completes]
            if isKey { info.flags.insert(.keyStart) }
            let action = self.selector.decide(layer: layer, info, at: now).action
            if action == .switchAndForward, !self.refusesSwitches {
                self.selector.takeSwitch(to: layer, info, at: now)
            }
            return action
        }

        mutating func key(_ layer: Int, at time: Int64 = 0) -> LayerDecision {
            self.frame(layer, isKey: true, at: time)
        }

        mutating func tick(at time: Int64 = 0) -> Int? { self.selector.tick(at: LayerSelectorTests.milliseconds(time)) }

        /// - Parameter layer: `nil` = nothing.
        mutating func aim(at layer: Int?) {
            self.selector.setTarget(spatial: layer ?? -1, temporal: layer == nil ? -1 : 3, at: .zero)
        }
    }

    @Test(
        "the policy: the highest that lives and is allowed, not the current one when it is silent",
        arguments: [
            (0b000, 2, nil, false, nil), (0b001, 2, nil, false, 0), (0b111, 2, nil, false, 2), (0b111, 1, 2, false, 1),
            (0b101, 2, 0, false, 2), (0b111, 2, 2, true, 1), (0b100, 2, 2, true, 2), (0b110, 0, 1, false, 1),
            (0b111, nil, 1, false, nil), (0b111, 9, 0, false, 2), (0b111, -1, 0, false, 0),
        ] as [(UInt8, Int?, Int?, Bool, Int?)]
    )
    func policy(live: UInt8, maximumLayer: Int?, current: Int?, isSilent: Bool, expected: Int?) {
        let choice = LayerSelector.choose(
            live: live,
            maximumLayer: maximumLayer,
            current: current,
            isCurrentSilent: isSilent
        )
        #expect(choice == expected)
    }

    @Test("at the start each higher layer's key frame is taken as it comes")
    func coldStart() {
        var bench = Bench()
        #expect(bench.frame(0) == .drop)
        #expect(bench.key(0) == .switchAndForward)
        #expect(bench.frame(0) == .forward)
        #expect(bench.key(2) == .switchAndForward)
        #expect(bench.key(1) == .drop)
        #expect(bench.frame(0) == .drop)
        #expect(bench.frame(2) == .forward)
        #expect(bench.key(2) == .forward)
        #expect(bench.selector.current == 2)
        #expect(bench.tick() == nil)
    }

    @Test("a joiner waits for the best layer's key frame, but takes a lower one's after 300 ms")
    func joiner() {
        var bench = Bench()
        for layer in 0..<3 { #expect(bench.frame(layer) == .drop) }
        #expect(bench.tick() == 2)
        #expect(bench.key(0, at: 299) == .drop)
        #expect(bench.key(1, at: 300) == .switchAndForward)
        #expect(bench.tick(at: 300) == 2)
        #expect(bench.key(0, at: 700) == .drop)
    }

    @Test("goes up and down only at a key frame of the target, and forwards the old layer until then")
    func switching() {
        var bench = Bench()
        #expect(bench.key(0) == .switchAndForward)
        #expect(bench.frame(1) == .drop)
        #expect(bench.tick() == 1)
        #expect(bench.frame(1) == .drop)
        #expect(bench.frame(0) == .forward)
        #expect(bench.key(1) == .switchAndForward)
        bench.aim(at: 0)
        #expect(bench.tick() == 0)
        #expect(bench.frame(1) == .forward)
        #expect(bench.key(1) == .forward)
        #expect(bench.key(0) == .switchAndForward)
        #expect(bench.tick() == nil)
    }

    @Test("falls back when the current layer is silent for 500 ms, and comes back with it")
    func silence() {
        var bench = Bench()
        #expect(bench.key(0) == .switchAndForward)
        #expect(bench.key(1) == .switchAndForward)
        for time in stride(from: 0, to: 500, by: 20) as StrideTo<Int64> {
            #expect(bench.frame(0, at: time) == .drop)
            #expect(bench.tick(at: time) == nil)
        }
        #expect(bench.tick(at: 500) == 0)
        #expect(bench.key(0, at: 540) == .switchAndForward)
        #expect(bench.tick(at: 1_000) == nil)
        #expect(bench.frame(1, at: 1_200) == .drop)
        #expect(bench.tick(at: 1_200) == 1)
    }

    @Test("when every layer is silent it stays, and asks for nothing")
    func allSilent() {
        var bench = Bench()
        #expect(bench.frame(0) == .drop)
        #expect(bench.key(1) == .switchAndForward)
        for time in [600, 1_000, 5_000] as [Int64] { #expect(bench.tick(at: time) == nil) }
        #expect(bench.selector.current == 1)
        #expect(bench.frame(1, at: 6_000) == .forward)
    }

    @Test("a refused switch leaves the old layer on, and the target wanted")
    func refusal() {
        var bench = Bench()
        #expect(bench.key(0) == .switchAndForward)
        bench.refusesSwitches = true
        #expect(bench.key(1) == .switchAndForward)
        #expect(bench.selector.current == 0)
        #expect(bench.frame(1) == .drop)
        #expect(bench.frame(0) == .forward)
        #expect(bench.tick() == 1)
    }

    @Test("paused, nothing passes; resumed, it starts at a key frame, even of the same layer")
    func pause() {
        var bench = Bench()
        #expect(bench.key(0) == .switchAndForward)
        bench.aim(at: nil)
        #expect(bench.selector.maximumLayer == nil)
        #expect(bench.frame(0) == .drop)
        #expect(bench.key(0) == .drop)
        #expect(bench.tick() == nil)
        bench.aim(at: 2)
        #expect(bench.selector.maximumLayer == 2)
        #expect(bench.frame(0) == .drop)
        #expect(bench.tick() == 0)
        #expect(bench.key(0) == .switchAndForward)
        bench.selector.restart()
        #expect(bench.frame(0) == .drop)
        #expect(bench.key(0) == .switchAndForward)
    }

    @Test(
        "A-56: behind the end of a stream no number of a frame is too far from its last one",
        arguments: [Int64.min, .min + 1, -1, 0, .max]
    )
    func numbersOfAnotherStream(frame: Int64) {
        for isLayered in [false, true] {
            var bench = Bench()
            #expect(bench.key(0) == .switchAndForward)
            #expect(bench.frame(0) == .forward)
            bench.selector.rebind()
            var info = FrameInfo()
            info.frame = frame
            info.flags = isLayered ? [.newest, .layered] : [.newest, .unreadable]
            #expect(bench.selector.decide(layer: 0, info, at: Self.milliseconds(0)).action == .drop)
            bench.selector = LayerSelector()
            #expect(bench.key(0) == .switchAndForward)
            bench.selector.restart()
            // It may be taken for a late one of the stream that was left.
            _ = bench.selector.decide(layer: 0, info, at: Self.milliseconds(0))
        }
    }

    @Test("A-56: layers out of range are dropped", arguments: [-1, 4, 100, Int.max, Int.min])
    func outOfRange(layer: Int) {
        var bench = Bench()
        #expect(bench.key(layer) == .drop)
        #expect(bench.selector.target == nil)
    }
}
