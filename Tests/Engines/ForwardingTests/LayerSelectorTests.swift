import Basics
import Forwarding
import Testing

@Suite("Choosing a simulcast layer")
struct LayerSelectorTests {
    private static func milliseconds(_ count: Int64) -> Instant { Instant(nanoseconds: count * 1_000_000) }

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
        var selector = LayerSelector()
        #expect(selector.accepts(layer: 0, isKeyFrameStart: false, at: .zero) == .drop)
        #expect(selector.accepts(layer: 0, isKeyFrameStart: true, at: .zero) == .switchAndForward)
        #expect(selector.accepts(layer: 0, isKeyFrameStart: false, at: .zero) == .forward)
        #expect(selector.accepts(layer: 2, isKeyFrameStart: true, at: .zero) == .switchAndForward)
        #expect(selector.accepts(layer: 1, isKeyFrameStart: true, at: .zero) == .drop)
        #expect(selector.accepts(layer: 0, isKeyFrameStart: false, at: .zero) == .drop)
        #expect(selector.accepts(layer: 2, isKeyFrameStart: false, at: .zero) == .forward)
        #expect(selector.accepts(layer: 2, isKeyFrameStart: true, at: .zero) == .forward)
        #expect(selector.current == 2)
        #expect(selector.switchCount == 2)
        #expect(selector.tick(at: .zero) == nil)
    }

    @Test("a joiner waits for the best layer's key frame, but takes a lower one's after 300 ms")
    func joiner() {
        var selector = LayerSelector()
        for layer in 0..<3 { _ = selector.accepts(layer: layer, isKeyFrameStart: false, at: .zero) }
        #expect(selector.tick(at: .zero) == 2)
        #expect(selector.accepts(layer: 0, isKeyFrameStart: true, at: Self.milliseconds(299)) == .drop)
        #expect(selector.accepts(layer: 1, isKeyFrameStart: true, at: Self.milliseconds(300)) == .switchAndForward)
        #expect(selector.tick(at: Self.milliseconds(300)) == 2)
        #expect(selector.accepts(layer: 0, isKeyFrameStart: true, at: Self.milliseconds(700)) == .drop)
    }

    @Test("goes up and down only at a key frame of the target, and forwards the old layer until then")
    func switching() {
        var selector = LayerSelector()
        _ = selector.accepts(layer: 0, isKeyFrameStart: true, at: .zero)
        _ = selector.accepts(layer: 1, isKeyFrameStart: false, at: .zero)
        #expect(selector.tick(at: .zero) == 1)
        #expect(selector.accepts(layer: 1, isKeyFrameStart: false, at: .zero) == .drop)
        #expect(selector.accepts(layer: 0, isKeyFrameStart: false, at: .zero) == .forward)
        #expect(selector.accepts(layer: 1, isKeyFrameStart: true, at: .zero) == .switchAndForward)
        selector.setMaximumLayer(0, at: .zero)
        #expect(selector.tick(at: .zero) == 0)
        #expect(selector.accepts(layer: 1, isKeyFrameStart: false, at: .zero) == .forward)
        #expect(selector.accepts(layer: 1, isKeyFrameStart: true, at: .zero) == .forward)
        #expect(selector.accepts(layer: 0, isKeyFrameStart: true, at: .zero) == .switchAndForward)
        #expect(selector.tick(at: .zero) == nil)
    }

    @Test("falls back when the current layer is silent for 500 ms, and comes back with it")
    func silence() {
        var selector = LayerSelector()
        _ = selector.accepts(layer: 0, isKeyFrameStart: true, at: .zero)
        _ = selector.accepts(layer: 1, isKeyFrameStart: true, at: .zero)
        for time in stride(from: 0, to: 500, by: 20) {
            _ = selector.accepts(layer: 0, isKeyFrameStart: false, at: Self.milliseconds(Int64(time)))
            #expect(selector.tick(at: Self.milliseconds(Int64(time))) == nil)
        }
        #expect(selector.tick(at: Self.milliseconds(500)) == 0)
        #expect(selector.accepts(layer: 0, isKeyFrameStart: true, at: Self.milliseconds(540)) == .switchAndForward)
        #expect(selector.tick(at: Self.milliseconds(1_000)) == nil)
        #expect(selector.accepts(layer: 1, isKeyFrameStart: false, at: Self.milliseconds(1_200)) == .drop)
        #expect(selector.tick(at: Self.milliseconds(1_200)) == 1)
    }

    @Test("when every layer is silent it stays, and asks for nothing")
    func allSilent() {
        var selector = LayerSelector()
        _ = selector.accepts(layer: 0, isKeyFrameStart: false, at: .zero)
        _ = selector.accepts(layer: 1, isKeyFrameStart: true, at: .zero)
        for time in [600, 1_000, 5_000] as [Int64] { #expect(selector.tick(at: Self.milliseconds(time)) == nil) }
        #expect(selector.current == 1)
        #expect(selector.accepts(layer: 1, isKeyFrameStart: false, at: Self.milliseconds(6_000)) == .forward)
    }

    @Test("a refused switch leaves the old layer on, and the target wanted")
    func refusal() {
        var selector = LayerSelector()
        _ = selector.accepts(layer: 0, isKeyFrameStart: true, at: .zero)
        #expect(selector.accepts(layer: 1, isKeyFrameStart: true, at: .zero) == .switchAndForward)
        selector.refuseSwitch()
        #expect(selector.current == 0)
        #expect(selector.accepts(layer: 1, isKeyFrameStart: false, at: .zero) == .drop)
        #expect(selector.accepts(layer: 0, isKeyFrameStart: false, at: .zero) == .forward)
        #expect(selector.tick(at: .zero) == 1)
    }

    @Test("paused, nothing passes; resumed, it starts at a key frame, even of the same layer")
    func pause() {
        var selector = LayerSelector()
        _ = selector.accepts(layer: 0, isKeyFrameStart: true, at: .zero)
        selector.setMaximumLayer(nil, at: .zero)
        #expect(selector.accepts(layer: 0, isKeyFrameStart: false, at: .zero) == .drop)
        #expect(selector.accepts(layer: 0, isKeyFrameStart: true, at: .zero) == .drop)
        #expect(selector.tick(at: .zero) == nil)
        selector.setMaximumLayer(2, at: .zero)
        #expect(selector.accepts(layer: 0, isKeyFrameStart: false, at: .zero) == .drop)
        #expect(selector.tick(at: .zero) == 0)
        #expect(selector.accepts(layer: 0, isKeyFrameStart: true, at: .zero) == .switchAndForward)
        selector.restart()
        #expect(selector.accepts(layer: 0, isKeyFrameStart: false, at: .zero) == .drop)
        #expect(selector.accepts(layer: 0, isKeyFrameStart: true, at: .zero) == .switchAndForward)
    }

    @Test("A-56: layers out of range are dropped", arguments: [-1, 4, 100, Int.max, Int.min])
    func outOfRange(layer: Int) {
        var selector = LayerSelector()
        #expect(selector.accepts(layer: layer, isKeyFrameStart: true, at: .zero) == .drop)
        #expect(selector.target == nil)
    }
}
