import Basics
import Forwarding
import RTP
import TestSupport
import Testing

@Suite("Choosing layers by frames")
struct SelectorWithFramesTests {
    private static func milliseconds(_ count: Int64) -> Instant { Instant(nanoseconds: count * 1_000_000) }

    /// One encoding without loss, one subscriber: what of each picture was sent, as the spatial ids with a `!` where the
    /// marker was set.
    private struct Bench {
        var random = SeededRandom(seed: 3)
        var encoder: LayeredEncoder
        var reader = FrameReader()
        var selector = LayerSelector()
        var picture = 0

        init(_ format: LayeredFormat) {
            self.encoder = LayeredEncoder(format, using: &self.random)
            self.selector.isSimulcast = false
        }

        /// - Parameter without: spatial ids that are lost on the way to us.
        mutating func next(isKey: Bool = false, without lost: Set<Int> = [], at time: Int64? = nil) -> String {
            let now = SelectorWithFramesTests.milliseconds(time ?? Int64(self.picture) * 33)
            var result = ""
            let packets = self.encoder.next(
                isKey: isKey,
                timestamp: UInt32(self.picture * 3_000),
                using: &self.random
            )
            self.picture += 1
            for packet in packets where !lost.contains(packet.frame.spatialID) {
                let format: PayloadFormat = packet.descriptor.isEmpty ? .vp9 : .av1
                let payload = PayloadDescriptor(packet.payload.span.bytes, format: format)
                let info = self.reader.read(
                    sequence: packet.sequence,
                    timestamp: packet.timestamp,
                    marker: packet.marker,
                    payload: payload,
                    isKeyFrameStart: payload.keyFrame(in: packet.payload.span.bytes, format: format) != nil,
                    descriptor: packet.descriptor.span.bytes
                )
                let decision = self.selector.decide(layer: 0, info, at: now)
                if decision.action == .switchAndForward { self.selector.takeSwitch(to: 0, info, at: now) }
                guard decision.action != .drop else { continue }
                if packet.isFirst { result += "\(packet.frame.spatialID)" }
                if packet.marker || decision.setsMarker { result += "!" }
            }
            return result
        }
    }

    private static let full: [LayeredFormat] = LayeredFormat.all.filter {
        $0.spatialLayers == 3 && !$0.predictsAcrossLayersAtKeysOnly
    }
    private static let keyOnly: [LayeredFormat] = LayeredFormat.all.filter {
        $0.spatialLayers == 3 && $0.predictsAcrossLayersAtKeysOnly
    }

    @Test(arguments: full) func `full SVC: down at the next picture, up at a key frame, temporal layers as told`(
        format: LayeredFormat
    ) {
        var bench = Bench(format)
        bench.selector.setTarget(spatial: 2, temporal: 2, at: .zero)
        #expect((0..<4).map { _ in bench.next() } == ["012!", "012!", "012!", "012!"])
        bench.selector.setTarget(spatial: 1, temporal: 1, at: .zero)
        #expect((0..<4).map { _ in bench.next() } == ["01!", "", "01!", ""])
        bench.selector.setTarget(spatial: 0, temporal: 0, at: .zero)
        #expect((0..<4).map { _ in bench.next() } == ["0!", "", "", ""])
        bench.selector.setTarget(spatial: 2, temporal: 2, at: .zero)
        // Below what is wanted all temporal layers go, from the first frame that they can begin with.
        #expect((0..<4).map { _ in bench.next() } == ["0!", "0!", "0!", "0!"])
        let asked = bench.selector.tick(at: Self.milliseconds(600))
        #expect(asked == 0)
        #expect(bench.next(isKey: true) == "012!")
        #expect(bench.next() == "012!")
        #expect(bench.selector.tick(at: Self.milliseconds(700)) == nil)
        #expect(bench.selector.layers == SelectedLayers(spatial: 2, temporal: 2))
    }

    @Test(arguments: keyOnly) func `K-SVC: lower layers are left out, and down needs a key frame too`(
        format: LayeredFormat
    ) {
        var bench = Bench(format)
        bench.selector.setTarget(spatial: 2, temporal: 2, at: .zero)
        #expect((0..<8).map { _ in bench.next() } == ["012!"] + Array(repeating: "2!", count: 7))
        bench.selector.setTarget(spatial: 0, temporal: 2, handover: .whole, at: .zero)
        #expect((0..<4).map { _ in bench.next() } == ["2!", "2!", "2!", "2!"])
        bench.selector.setTarget(spatial: 0, temporal: 2, handover: .baseOnly, at: .zero)
        #expect((0..<4).map { _ in bench.next() } == ["2!", "", "", ""])
        bench.selector.setTarget(spatial: 0, temporal: 2, handover: .nothing, at: .zero)
        #expect((0..<4).map { _ in bench.next() } == ["", "", "", ""])
        #expect(bench.selector.tick(at: Self.milliseconds(600)) == 0)
        #expect(bench.next(isKey: true) == "0!")
        #expect((0..<3).map { _ in bench.next() } == ["0!", "0!", "0!"])
    }

    @Test("nothing wanted, nothing sent; wanted again, from a key frame on")
    func pause() {
        var bench = Bench(LayeredFormat.all[7])
        _ = bench.next()
        bench.selector.setTarget(spatial: -1, temporal: -1, at: .zero)
        #expect(bench.next() == "")
        #expect(bench.selector.layers == .nothing)
        #expect(bench.selector.tick(at: Self.milliseconds(60)) == nil)
        bench.selector.setTarget(spatial: 1, temporal: 2, at: .zero)
        #expect((0..<4).map { _ in bench.next() } == ["", "", "", ""])
        #expect(bench.selector.tick(at: Self.milliseconds(200)) == 0)
        #expect(bench.next(isKey: true) == "01!")
    }

    @Test("frames begin and none becomes whole: after 500 ms a key frame is asked for, with the reason")
    func incompleteFrames() {
        var bench = Bench(LayeredFormat.all[10])
        #expect(bench.next() == "0!")
        var found: [ForwardingStall?] = []
        for index in 0..<40 as Range<Int64> {
            // The last packet of every frame is lost: only the first of several comes.
            var packets = bench.encoder.next(isKey: false, timestamp: UInt32(3_000 * (index + 1)), using: &bench.random)
            packets.removeLast()
            for packet in packets {
                let info = bench.reader.read(packet)
                _ = bench.selector.decide(layer: 0, info, at: Self.milliseconds(33 + index * 33))
            }
            let asked = bench.selector.tick(at: Self.milliseconds(33 + index * 33))
            if asked != nil { found.append(bench.selector.stall) }
        }
        #expect(found.count >= 1)
        #expect(found.first == .incompleteFrames || found.first == .brokenChain)
        #expect(bench.selector.stallCount >= 1)
        bench.picture = 60
        #expect(bench.next(isKey: true) == "0!")
        _ = bench.selector.tick(at: Self.milliseconds(2_000))
        #expect(bench.selector.stall == nil)
    }

    @Test("a large frame that takes two seconds is no standstill")
    func slowFrame() {
        var bench = Bench(LayeredFormat.all[10])
        _ = bench.next()
        let packets = bench.encoder.next(isKey: true, timestamp: 3_000, using: &bench.random)
        for (index, packet) in packets.enumerated() {
            let now = Self.milliseconds(33 + Int64(index) * 500)
            let info = bench.reader.read(packet)
            #expect(bench.selector.decide(layer: 0, info, at: now).action == .forward)
            #expect(bench.selector.tick(at: now) == nil)
        }
        #expect(bench.selector.stallCount == 0)
    }

    @Test("a base frame that is lost and does not come any more breaks the chain: after 500 ms that is the reason")
    func brokenChain() {
        var bench = Bench(LayeredFormat.all[10])
        _ = (0..<4).map { _ in bench.next() }
        #expect(bench.next(without: [0]) == "")
        var asked: [Int64] = []
        for _ in 0..<30 {
            let time = Int64(bench.picture) * 33
            _ = bench.next()
            if bench.selector.tick(at: Self.milliseconds(time)) != nil { asked.append(time) }
        }
        #expect(bench.selector.stall == .brokenChain)
        #expect(asked.first.map { $0 >= 5 * 33 + 500 } == true)
        #expect(bench.next(isKey: true) == "0!")
        #expect(bench.selector.tick(at: Self.milliseconds(2_000)) == nil)
        #expect(bench.selector.stall == nil)
    }

    @Test("requests for more are spaced out, and a layer that never comes is left alone for ten seconds")
    func retries() {
        var selector = LayerSelector()
        var info = FrameInfo()
        info.flags = [.keyStart, .newest, .first]
        var asked: [Int64] = []
        var decision = FrameDecision.drop
        for time in stride(from: 0, to: 20_000, by: 100) as StrideTo<Int64> {
            let now = Self.milliseconds(time)
            info.frame = time
            info.timestamp = UInt32(time * 90)
            info.flags = time == 0 ? [.keyStart, .newest, .first] : [.newest, .first, .completes]
            decision = selector.decide(layer: 0, info, at: now)
            if decision.action == .switchAndForward { selector.takeSwitch(to: 0, info, at: now) }
            info.flags = [.newest, .first]
            _ = selector.decide(layer: 1, info, at: now)
            if time == 0 { selector.setTarget(spatial: 1, temporal: 3, at: now) }
            if selector.tick(at: now) == 1 { asked.append(time) }
        }
        #expect(asked == [0, 500, 1_500, 3_500, 15_000, 15_500, 16_500, 18_500])
        #expect(selector.current == 0)
    }

    @Test("a selector and what it remembers of frames fit into 304 bytes")
    func size() {
        #expect(MemoryLayout<LayerSelector>.size <= 304)
    }
}
