import Basics
import Forwarding
import RTP
import Testing

/// Where a subscriber may start in streams whose payload format tells key frames, and nothing of layers.
@Suite("Key pictures of H.264: parameter sets and slices in packets of their own")
struct KeyPictureTests {
    private enum Part: Character {
        /// The parameter sets of a key picture.
        case parameters = "P"
        /// The first packet of its slices.
        case slice = "I"
        /// Both in one packet.
        case whole = "W"
        /// Any other packet of a picture.
        case rest = "."
        case padding = "_"
    }

    /// Reads packets and tells of each that came: `S` a subscriber may start there, `k` a key picture starts there too
    /// late for that, `-` neither.
    /// - Parameters:
    ///   - packets: in order of their numbers; a `|` behind a packet is its marker, which ends the picture.
    ///   - order: the numbers as they come, from 0; those that are left out are lost.
    private static func starts(_ packets: String, order: [Int]? = nil) -> String {
        var parts: [(part: Part, timestamp: UInt32, marker: Bool)] = []
        var picture: UInt32 = 0
        for character in packets {
            if character == "|" {
                parts[parts.count - 1].marker = true
                picture += 1
            } else if let part = Part(rawValue: character) {
                parts.append((part, picture * 3_000, false))
            }
        }
        var reader = FrameReader()
        var told = ""
        for number in order ?? Array(parts.indices) {
            let packet = parts[number]
            guard packet.part != .padding else {
                reader.notePadding(sequence: Int64(number))
                told += "_"
                continue
            }
            let isKey = packet.part != .rest
            let info = reader.read(
                sequence: Int64(number),
                timestamp: packet.timestamp,
                marker: packet.marker,
                payload: .none,
                isKeyFrameStart: isKey,
                hasParameters: packet.part == .parameters || packet.part == .whole,
                descriptor: RawSpan()
            )
            told += info.canStart ? "S" : info.isKeyFrameStart ? "k" : "-"
        }
        return told
    }

    @Test(
        "a key picture starts at its first packet, once",
        arguments: [
            // Chromium: the parameter sets in an aggregate, the slice in fragments behind it.
            ("..|PI..|.|", "--S----"),
            ("PI.|.|PI.|", "S---S--"),
            // All in one, and several slices.
            (".|W|.|", "-S-"), (".|WII|.|", "-S---"),
            // Parameter sets by another way: the slice is the first.
            (".|I..|.|I|", "-S---S"),
            // An access unit delimiter goes ahead.
            (".|.PI.|", "--S--"),
            // Padding in front leaves nothing out.
            (".|__I.|", "-__S-"), (".|_PI|", "-_S-"),
        ] as [(String, String)]
    )
    func starts(packets: String, expected: String) { #expect(Self.starts(packets) == expected) }

    @Test("with the packet before the slice lost nobody starts there: it may have been the parameter sets")
    func lostParameters() {
        #expect(Self.starts(".|PI.|.|", order: [0, 2, 3, 4]) == "----")
        // It comes again, too late to start with; the next one does.
        #expect(Self.starts(".|PI.|.|PI.|", order: [0, 2, 3, 4, 1, 5, 6, 7]) == "----kS--")
        // A packet that has the parameter sets needs nothing before it.
        #expect(Self.starts("..|PI.|", order: [0, 2, 3, 4]) == "-S--")
    }

    @Test("the packets that are kept for joiners begin with the parameter sets, and so do they when read again")
    func replay() {
        let parts: [(isKey: Bool, hasParameters: Bool, marker: Bool)] = [
            (true, true, false), (true, false, false), (false, false, true), (false, false, true),
        ]
        var reader = FrameReader()
        var cache = PacketCache<UInt8>(kind: .video)
        var keyFrames = KeyFrameCache()
        func read(_ number: Int, with reader: inout FrameReader) -> FrameInfo {
            reader.read(
                sequence: Int64(number),
                timestamp: number < 3 ? 0 : 3_000,
                marker: parts[number].marker,
                payload: .none,
                isKeyFrameStart: parts[number].isKey,
                hasParameters: parts[number].hasParameters,
                descriptor: RawSpan()
            )
        }
        for number in parts.indices {
            let info = read(number, with: &reader)
            let bytes = [UInt8](repeating: 1, count: 100)
            cache.store(Int64(number), bytes: bytes.span.bytes, headerLength: 12, facts: 0, at: .zero)
            keyFrames.note(Int64(number), isKeyFrameStart: info.canStart, byteCount: 100, at: .zero)
        }
        let kept = keyFrames.replay(from: cache, at: .zero)
        #expect(kept == .packets(0...3, byteCount: 400))
        var selector = LayerSelector()
        selector.isSimulcast = false
        selector.setTarget(spatial: 0, temporal: 3, at: .zero)
        var again = reader.replaying()
        var actions: [LayerDecision] = []
        for number in parts.indices {
            let info = read(number, with: &again)
            let decision = selector.decide(layer: 0, info, at: .zero)
            if decision.action == .switchAndForward { selector.takeSwitch(to: 0, info, at: .zero) }
            actions.append(decision.action)
        }
        #expect(actions == [.switchAndForward, .forward, .forward, .forward])
    }
}
