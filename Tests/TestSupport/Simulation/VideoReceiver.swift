import Basics
import CongestionControl

/// A subscriber's browser that shows video: asks for lost packets, puts frames together and decodes what it can.
package final class VideoReceiver: ReceivingEndpoint {
    private static let reorderTime: Microseconds = 10_000
    private static let tries = 10
    private static let requestBytes = 16 + 28 + 14
    /// Without a picture for so long it asks for a key frame, and again after so long.
    private static let patience: Microseconds = 500_000

    private struct Missing {
        var track: Int16
        var sequence: Int32
        var due: Microseconds
        var tries: Int
    }

    package private(set) var screens: [Screen] = []
    private var missing: [Missing] = []
    private var nextSequences: [Int32] = []
    private var keyFrameAskedAt: [Microseconds] = []
    private var keyFrameCheckAt = Microseconds.max
    package private(set) var audioReceived: [Microseconds] = []

    private func prepare(track: Int) {
        while self.screens.count <= track {
            self.screens.append(Screen())
            self.nextSequences.append(0)
            self.keyFrameAskedAt.append(.min / 2)
        }
    }

    package override func receiveMedia(_ packet: SimulatedPacket, in simulation: Simulation) {
        let now = simulation.now
        switch packet.kind {
        case .audio: self.audioReceived.append(now)
        case .video, .retransmission:
            let track = Int(packet.media.track)
            self.prepare(track: track)
            self.noteSequence(packet, at: now)
            self.screens[track].received(packet.media, at: now)
            if self.keyFrameCheckAt == .max { self.keyFrameCheckAt = now + Self.patience }
        default: break
        }
    }

    private func noteSequence(_ packet: SimulatedPacket, at now: Microseconds) {
        let track = Int(packet.media.track)
        let sequence = packet.media.sequence
        let next = self.nextSequences[track]
        if sequence >= next {
            // What comes after a long silence is not worth filling.
            if sequence - next < 500 {
                for lost in next..<sequence {
                    self.missing.append(
                        Missing(track: packet.media.track, sequence: lost, due: now + Self.reorderTime, tries: 0)
                    )
                }
            }
            self.nextSequences[track] = sequence + 1
        } else {
            self.missing.removeAll { $0.track == packet.media.track && $0.sequence == sequence }
        }
    }

    package override var mediaDeadline: Microseconds {
        var next = self.keyFrameCheckAt
        for entry in self.missing { next = min(next, entry.due) }
        return next
    }

    package override func runMedia(in simulation: Simulation) {
        let now = simulation.now
        let delay = self.sender.control.estimate.roundTripTime.map { $0.count / 1_000 } ?? 100_000
        for index in self.missing.indices where self.missing[index].due <= now {
            self.missing[index].tries += 1
            self.missing[index].due = now + min(max(delay, 20_000), 400_000)
            var request = SimulatedPacket(.repairRequest, to: self.sender.index, wireBytes: Self.requestBytes)
            request.media.track = self.missing[index].track
            request.media.sequence = self.missing[index].sequence
            simulation.transmit(request, over: self.reversePath)
        }
        self.missing.removeAll { $0.tries > Self.tries }
        if self.keyFrameCheckAt <= now {
            self.keyFrameCheckAt = now + 100_000
            for track in self.screens.indices where self.screens[track].isStuck(at: now, for: Self.patience) {
                guard now - self.keyFrameAskedAt[track] >= Self.patience else { continue }
                self.keyFrameAskedAt[track] = now
                var request = SimulatedPacket(.keyFrameRequest, to: self.sender.index, wireBytes: Self.requestBytes)
                request.media.track = Int16(track)
                simulation.transmit(request, over: self.reversePath)
            }
        }
    }
}

/// What one track looks like to a viewer.
package struct Screen {
    private struct Assembly {
        var media: MediaPart
        var parts: Set<UInt16>
    }

    package struct Shown {
        package let time: Microseconds
        package let picture: Int32
        package let spatial: Int
        package let temporal: Int
    }

    package init() {}

    /// Every frame that was shown: of a picture in several layers, each of them.
    package private(set) var shown: [Shown] = []
    /// From the last picture to the next one, when that took too long.
    package private(set) var freezes: [(start: Microseconds, duration: Microseconds)] = []
    private var assemblies: [Int64: Assembly] = [:]
    private var waiting: [MediaPart] = []
    private var decoded: Set<Int64> = []
    private var lastShownAt: Microseconds?
    private var lastReceivedAt: Microseconds = 0
    /// How far apart pictures should be, by the temporal layers of the last eight.
    private var lastTemporals: [Int8] = []

    private static func key(_ picture: Int32, _ spatial: Int8) -> Int64 { Int64(picture) << 4 | Int64(spatial) }

    mutating func received(_ media: MediaPart, at now: Microseconds) {
        self.lastReceivedAt = now
        if self.lastShownAt == nil { self.lastShownAt = now }
        let key = Self.key(media.frame, media.spatial)
        guard !self.decoded.contains(key) else { return }
        var assembly = self.assemblies[key] ?? Assembly(media: media, parts: [])
        assembly.parts.insert(media.part)
        guard assembly.parts.count == Int(media.partCount) else {
            self.assemblies[key] = assembly
            return
        }
        self.assemblies[key] = nil
        self.waiting.append(media)
        self.waiting.sort { ($0.frame, $0.spatial) < ($1.frame, $1.spatial) }
        self.decode(at: now)
        if self.waiting.count > 64 { self.waiting.removeFirst() }
        self.forgetOld(before: media.frame - 300)
    }

    private mutating func decode(at now: Microseconds) {
        var index = 0
        while index < self.waiting.count {
            let media = self.waiting[index]
            guard self.isDecodable(media) else {
                index += 1
                continue
            }
            self.waiting.remove(at: index)
            self.decoded.insert(Self.key(media.frame, media.spatial))
            self.show(media, at: now)
        }
    }

    private func isDecodable(_ media: MediaPart) -> Bool {
        if media.reference >= 0, !self.decoded.contains(Self.key(media.reference, media.spatial)) { return false }
        return !media.needsLower || self.decoded.contains(Self.key(media.frame, media.spatial - 1))
    }

    private mutating func show(_ media: MediaPart, at now: Microseconds) {
        let interval: Microseconds
        switch self.lastTemporals.max() {
        case 2: interval = 33_333
        case 1: interval = 66_667
        default: interval = 133_333
        }
        if let last = self.lastShownAt, now - last > 200_000 + interval { self.freezes.append((last, now - last)) }
        self.lastShownAt = now
        self.shown.append(
            Shown(time: now, picture: media.frame, spatial: Int(media.spatial), temporal: Int(media.temporal))
        )
        self.lastTemporals.append(media.temporal)
        if self.lastTemporals.count > 8 { self.lastTemporals.removeFirst() }
    }

    private mutating func forgetOld(before picture: Int32) {
        guard self.decoded.count > 2_000 || self.assemblies.count > 64 else { return }
        self.decoded = self.decoded.filter { $0 >> 4 >= Int64(picture) }
        self.assemblies = self.assemblies.filter { $0.key >> 4 >= Int64(picture) }
    }

    /// Packets come, pictures do not.
    func isStuck(at now: Microseconds, for patience: Microseconds) -> Bool {
        guard let last = self.lastShownAt else { return false }
        return now - last > patience && now - self.lastReceivedAt < patience
    }
}
