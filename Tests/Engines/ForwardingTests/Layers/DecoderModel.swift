import Forwarding

/// What a subscriber was sent, checked against what the frames really are.
struct DecoderModel {
    struct Sent {
        let encoding: Int
        let packet: EncodedPacket
        let outgoing: Int64
        let timestamp: UInt32
        let marker: Bool
        let generation: UInt32
        /// Picture id of VP8 and VP9, frame number of a descriptor.
        let number: UInt16?
    }

    private struct Frame: Hashable {
        let encoding: Int
        let index: Int
    }

    /// By encoding: the packets that reached the server, in any order.
    private var arrived: [Frame: Set<Int64>] = [:]
    private var arrivedSequences: [Set<Int64>]
    private var frames: [Frame: EncodedFrame] = [:]
    private var sent: [Int64: Sent] = [:]
    private var filled: Set<Int64> = []
    private(set) var faults: [String] = []
    /// Pictures that came whole to the server and went out, and those of them without a marker.
    private(set) var wholePictures = 0
    private(set) var unmarked: [String] = []
    /// By operating point: frames that were sent.
    private(set) var sentFrames: [SelectedLayers: Int] = [:]

    /// By encoding, the first and last packet of each picture.
    private var pictures: [[Int: ClosedRange<Int64>]]

    /// By encoding: the first packet that was there of each key picture, as (picture, order of arrival).
    private var keyPictures: [[(Int, Int)]]
    /// By encoding and picture: the order of arrival of its last packet.
    private var lastArrivals: [[Int: Int]]
    private var order = 0

    init(encodings: Int) {
        self.keyPictures = Array(repeating: [], count: encodings)
        self.lastArrivals = Array(repeating: [:], count: encodings)
        self.arrivedSequences = Array(repeating: [], count: encodings)
        self.pictures = Array(repeating: [:], count: encodings)
    }

    /// The publisher made a picture of these packets.
    mutating func encode(_ packets: [EncodedPacket], encoding: Int) {
        guard let first = packets.first, let last = packets.last else { return }
        self.pictures[encoding][first.frame.picture] = first.sequence...last.sequence
    }

    mutating func arrive(_ packet: EncodedPacket, encoding: Int) {
        self.order += 1
        self.lastArrivals[encoding][packet.frame.picture] = self.order
        if packet.frame.isKeyPicture, self.keyPictures[encoding].last?.0 != packet.frame.picture {
            self.keyPictures[encoding].append((packet.frame.picture, self.order))
        }
        self.arrived[Frame(encoding: encoding, index: packet.frame.index), default: []].insert(packet.sequence)
        self.arrivedSequences[encoding].insert(packet.sequence)
        self.frames[Frame(encoding: encoding, index: packet.frame.index)] = packet.frame
    }

    mutating func fill(_ outgoing: Int64) {
        if self.sent[outgoing] != nil || !self.filled.insert(outgoing).inserted {
            self.faults.append("number \(outgoing) was used twice")
        }
    }

    mutating func receive(_ packet: Sent) {
        if self.sent[packet.outgoing] != nil || self.filled.contains(packet.outgoing) {
            self.faults.append("number \(packet.outgoing) was used twice")
        }
        self.sent[packet.outgoing] = packet
        if packet.packet.isFirst {
            let frame = packet.packet.frame
            let layers = SelectedLayers(
                spatial: Int8(max(frame.spatialID, packet.encoding)),
                temporal: Int8(frame.temporalID)
            )
            self.sentFrames[layers, default: 0] += 1
        }
    }

    // MARK: - At the end

    mutating func finish() {
        let ordered = self.sent.values.sorted { $0.outgoing < $1.outgoing }
        var framesSent: [Frame: [Sent]] = [:]
        for packet in ordered {
            framesSent[Frame(encoding: packet.encoding, index: packet.packet.frame.index), default: []].append(packet)
        }
        self.checkNumbersAndTime(ordered)
        self.checkFrames(framesSent, ordered)
        self.checkMarkers(ordered)
        self.checkFrameNumbers(framesSent, ordered)
    }

    private mutating func checkNumbersAndTime(_ ordered: [Sent]) {
        for (before, after) in zip(ordered, ordered.dropFirst()) {
            if Int32(bitPattern: after.timestamp &- before.timestamp) < 0 {
                self.faults.append("time runs back at \(after.outgoing)")
            }
            let holes = (before.outgoing + 1..<after.outgoing).filter { !self.filled.contains($0) }.count
            guard holes > 0 else { continue }
            guard before.generation == after.generation else {
                // One number is left out when a frame was cut short; packets that were lost before the switch have theirs.
                continue
            }
            let lost = (before.packet.sequence + 1..<after.packet.sequence).filter {
                !self.arrivedSequences[before.encoding].contains($0)
            }.count
            if holes > lost { self.faults.append("a gap of \(holes) before \(after.outgoing), but \(lost) were lost") }
        }
    }

    private mutating func checkFrames(_ framesSent: [Frame: [Sent]], _ ordered: [Sent]) {
        let lastOfGeneration = Dictionary(grouping: ordered, by: \.generation).compactMapValues {
            $0.map(\.packet.frame.index).max()
        }
        for (frame, packets) in framesSent {
            guard let truth = self.frames[frame], let first = packets.first else { continue }
            let sequences = Set(packets.map(\.packet.sequence))
            let isLast = lastOfGeneration[first.generation] == frame.index
            if sequences != self.arrived[frame], !isLast {
                self.faults.append("frame \(frame.index) of \(frame.encoding) was sent in part: \(truth)")
            }
            for reference in truth.references {
                let other = Frame(encoding: frame.encoding, index: reference)
                guard framesSent[other] == nil, self.arrived[other] != nil else { continue }
                self.faults.append(
                    "frame \(frame.index) of \(frame.encoding) lacks \(reference): "
                        + "\(truth) needs \(self.frames[other].map { "\($0)" } ?? "")"
                )
            }
        }
    }

    /// In pictures of which nothing was lost, exactly the last packet has the marker.
    private mutating func checkMarkers(_ ordered: [Sent]) {
        struct Picture: Hashable {
            let encoding: Int
            let picture: Int
            let generation: UInt32
        }
        let pictures = Dictionary(grouping: ordered) {
            Picture(encoding: $0.encoding, picture: $0.packet.frame.picture, generation: $0.generation)
        }
        // A source may be left in the middle of a picture.
        let lastPictures = Dictionary(grouping: ordered, by: \.generation).compactMapValues {
            $0.map(\.packet.frame.picture).max()
        }
        for (picture, packets) in pictures where lastPictures[picture.generation] != picture.picture {
            guard let last = packets.last, let all = self.pictures[picture.encoding][picture.picture],
                all.allSatisfy({ self.arrivedSequences[picture.encoding].contains($0) })
            else { continue }
            // With a later key frame there, nobody waits for the rest.
            let lastArrival = self.lastArrivals[picture.encoding][picture.picture] ?? 0
            let isOver = self.keyPictures[picture.encoding].contains { $0.0 > picture.picture && $0.1 < lastArrival }
            guard !isOver else { continue }
            let marks = packets.filter(\.marker)
            self.wholePictures += 1
            if !last.marker {
                self.unmarked.append("picture \(picture.picture) has no marker: \(last.packet.frame)")
            } else if marks.count != 1 {
                self.faults.append("picture \(picture.picture) has \(marks.count) markers")
            }
        }
    }

    /// Numbers keep the distances of frames; after a change of source they go on by one.
    private mutating func checkFrameNumbers(_ framesSent: [Frame: [Sent]], _ ordered: [Sent]) {
        for (frame, packets) in framesSent {
            guard let number = packets.first?.number else { continue }
            if packets.contains(where: { $0.number != number }) {
                self.faults.append("frame \(frame.index) has several numbers")
            }
        }
    }
}
