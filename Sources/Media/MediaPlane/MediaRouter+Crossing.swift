package import Basics
import Forwarding
package import MediaControl
import Negotiation
import RTP

/// Published tracks on their way to subscribers of other workers: each packet crosses once for each worker, and is
/// rewritten and sealed there.
extension MediaRouter {
    /// What another worker needs to make a mirror of a track; `nil` when there is no such track.
    package func describe(_ source: PublishedTrack) -> TrackDescription? {
        guard let session = unsafe self.session(source.session), let track = unsafe self.track(source.mid, of: session)
        else { return nil }
        return unsafe Self.describe(track)
    }

    private static func describe(_ track: TrackPointer) -> TrackDescription {
        unsafe TrackDescription(
            source: track.pointee.source,
            section: track.pointee.section,
            purpose: track.pointee.purpose,
            speechRole: track.pointee.speechRole,
            isMuted: track.pointee.isMuted,
            layers: (0..<track.pointee.layerCount).map { layer in
                let source = unsafe track.pointee.layers + layer
                return unsafe TrackDescription.Layer(
                    ssrc: source.pointee.ssrc,
                    width: source.pointee.width,
                    height: source.pointee.height
                )
            }
        )
    }

    mutating func tell(_ worker: Int, _ message: CrossingMessage) {
        self.crossings.messages.append((worker, message))
    }

    /// What is to be told other workers, in order.
    package mutating func takeCrossingMessages() -> [(worker: Int, message: CrossingMessage)] {
        guard !self.crossings.messages.isEmpty else { return [] }
        defer { self.crossings.messages = [] }
        return self.crossings.messages
    }

    /// Takes what another worker says.
    package mutating func receive(_ message: CrossingMessage, from worker: Int, at now: Instant) {
        switch message {
        case .subscribe(let source, let mirror, let ring):
            self.subscribe(source, mirror: mirror, ring: ring, worker: worker, at: now)
        case .unsubscribe(let source, let mirror):
            guard let track = unsafe self.publishedTrack(source) else { return }
            unsafe track.pointee.removeLink(worker: worker, mirror: mirror)
        case .keyFrameWanted(let source, let layer):
            guard let track = unsafe self.publishedTrack(source) else { return }
            unsafe self.requestKeyFrame(of: track, layer: layer, at: now)
        case .layerWanted(let source, let mirror, let layer):
            guard let track = unsafe self.publishedTrack(source) else { return }
            for index in unsafe 0..<track.pointee.linkCount
            where unsafe track.pointee.links[index].worker == worker && track.pointee.links[index].mirror == mirror {
                unsafe track.pointee.links[index].wantedLayer = Int8(clamping: layer ?? -1)
            }
        case .described(let description, let mirror): self.update(mirror, description, at: now)
        case .ended(let mirror): self.endMirror(mirror, at: now)
        }
    }

    private func publishedTrack(_ source: PublishedTrack) -> TrackPointer? {
        guard let session = unsafe self.session(source.session) else { return nil }
        return unsafe self.track(source.mid, of: session)
    }

    // MARK: Subscribing workers

    private mutating func subscribe(
        _ source: PublishedTrack,
        mirror: UInt64,
        ring: PacketRing,
        worker: Int,
        at now: Instant
    ) {
        guard worker >= 0, let track = unsafe self.publishedTrack(source) else {
            return self.tell(worker, .ended(mirror: mirror))
        }
        let ring = self.crossings.keep(ring, to: worker)
        let link = unsafe CrossingLink(worker: worker, mirror: mirror, ring: Unmanaged.passUnretained(ring))
        unsafe track.pointee.add(link)
        // Something may have changed since the other worker asked what the track is.
        self.tell(worker, .described(unsafe Self.describe(track), mirror: mirror))
        let index = unsafe track.pointee.linkCount - 1
        for layer in unsafe 0..<track.pointee.layerCount {
            unsafe self.crossClocks(of: track, layer: layer, link: index)
            unsafe self.crossKept(layer, of: track, link: index, ring: ring, at: now)
        }
        unsafe self.cross(CrossingRecord(.opened, layer: 0, mirror: mirror), of: track, link: index)
    }

    /// Sends a new mirror the last key frame and what followed it, so that its subscribers cost nobody a key frame.
    private mutating func crossKept(
        _ layer: Int,
        of track: TrackPointer,
        link: Int,
        ring: PacketRing,
        at now: Instant
    ) {
        guard unsafe track.pointee.kind == .video, unsafe !track.pointee.isMuted else { return }
        let source = unsafe track.pointee.layers + layer
        // What is sent now must not be in the way of what comes.
        let kept = unsafe source.pointee.keyFrameCache.replay(from: source.pointee.cache, at: now)
        guard case .packets(let numbers, _) = kept, numbers.count <= ring.freeCount / 2 else { return }
        for number in numbers {
            guard let packet = unsafe self.layOut(number, from: source, at: now) else { continue }
            let record = unsafe CrossingRecord(.replayed, layer: layer, mirror: track.pointee.links[link].mirror)
            unsafe self.cross(record, packet, of: track, link: link)
        }
    }

    /// Something of the track is another than the mirrors were told.
    mutating func describeToMirrors(_ track: TrackPointer) {
        guard unsafe track.pointee.linkCount > 0 else { return }
        let description = unsafe Self.describe(track)
        for index in unsafe 0..<track.pointee.linkCount {
            let link = unsafe track.pointee.links[index]
            self.tell(link.worker, .described(description, mirror: link.mirror))
        }
    }

    /// The track ends: so do its mirrors.
    mutating func endMirrors(of track: TrackPointer) {
        for index in unsafe 0..<track.pointee.linkCount {
            let link = unsafe track.pointee.links[index]
            self.tell(link.worker, .ended(mirror: link.mirror))
        }
    }

    // MARK: Packets

    /// Hands a packet to every worker that has subscribers of its track. Before it is forwarded here, so that the others
    /// work at the same time.
    @inline(__always)
    mutating func cross(
        _ packet: SourcePacket,
        track: TrackPointer,
        layer: Int,
        isRecovered: Bool,
        arrival: Instant
    ) {
        for index in unsafe 0..<track.pointee.linkCount {
            let kind: CrossingRecord.Kind = packet.payloadLength == 0 ? .padding : .packet
            var record = unsafe CrossingRecord(kind, layer: layer, mirror: track.pointee.links[index].mirror)
            record.isRecovered = isRecovered
            record.arrival = arrival
            unsafe self.cross(record, packet, of: track, link: index)
        }
    }

    private mutating func cross(_ record: CrossingRecord, _ packet: SourcePacket, of track: TrackPointer, link: Int) {
        let bytes = unsafe packet.withoutPadding
        let place = unsafe track.pointee.links + link
        var record = record
        record.sequence = packet.sequence
        record.byteCount = UInt16(truncatingIfNeeded: bytes.count)
        record.payloadLength = UInt16(truncatingIfNeeded: packet.payloadLength)
        record.droppedCount = unsafe place.pointee.dropped[Int(record.layer)]
        let header = packet.header
        let isIn = unsafe place.pointee.ring._withUnsafeGuaranteedRef { ring in
            // What is longer fits into no datagram either.
            guard bytes.count <= PacketRing.slotByteCount - CrossingRecord.bytesOffset,
                let slot = unsafe ring.reserve()
            else { return false }
            unsafe slot.storeBytes(of: record, as: CrossingRecord.self)
            unsafe slot.storeBytes(of: header, toByteOffset: CrossingRecord.factsOffset, as: RTPHeaderInfo.self)
            unsafe UnsafeMutableRawBufferPointer(rebasing: slot[CrossingRecord.bytesOffset...])
                .copyMemory(from: UnsafeRawBufferPointer(bytes))
            ring.commit()
            return true
        }
        if isIn {
            self.counters.crossedPackets &+= 1
        } else {
            unsafe place.pointee.dropped[Int(record.layer)] &+= 1
            self.counters.crossingDropped &+= 1
        }
    }

    /// Hands over a record that is all there is.
    private mutating func cross(_ record: CrossingRecord, of track: TrackPointer, link: Int) {
        unsafe track.pointee.links[link].ring._withUnsafeGuaranteedRef { ring in
            guard let slot = unsafe ring.reserve() else { return }
            unsafe slot.storeBytes(of: record, as: CrossingRecord.self)
            ring.commit()
        }
    }

    // MARK: Clocks

    /// How often a clock crosses, however often its publisher reports: rings are for the packets of all rooms, and a
    /// datagram may bring a hundred reports.
    private static let clocksInterval = Nanoseconds.milliseconds(100)

    /// A sender report came: it says something of the clock of all tracks of its publisher.
    mutating func crossClocks(of session: SessionPointer, track reported: TrackPointer, layer: Int, at now: Instant) {
        let crossesOthers = unsafe now >= session.pointee.nextClocks
        if crossesOthers { unsafe session.pointee.nextClocks = now + Self.clocksInterval }
        // By layer, so that none waits for what others report.
        let crossesOwn = unsafe now >= reported.pointee.layers[layer].nextClock
        if crossesOwn { unsafe reported.pointee.layers[layer].nextClock = now + Self.clocksInterval }
        for track in unsafe Each(session.pointee.tracks)
        where unsafe track == reported ? crossesOwn : crossesOthers {
            for index in unsafe 0..<track.pointee.linkCount {
                unsafe self.crossClocks(of: track, layer: track == reported ? layer : 0, link: index)
            }
        }
    }

    private mutating func crossClocks(of track: TrackPointer, layer: Int, link: Int) {
        let record = unsafe CrossingRecord(.clocks, layer: layer, mirror: track.pointee.links[link].mirror)
        let clock = unsafe track.pointee.layers[layer].clock
        let publisherClock = unsafe track.pointee.publisherClock
        unsafe track.pointee.links[link].ring._withUnsafeGuaranteedRef { ring in
            guard let slot = unsafe ring.reserve() else { return }
            unsafe slot.storeBytes(of: record, as: CrossingRecord.self)
            unsafe slot.storeBytes(of: clock, toByteOffset: CrossingRecord.factsOffset, as: SenderReportClock.self)
            unsafe slot.storeBytes(
                of: publisherClock,
                toByteOffset: CrossingRecord.publisherClockOffset,
                as: PublisherClock.self
            )
            ring.commit()
        }
    }
}
