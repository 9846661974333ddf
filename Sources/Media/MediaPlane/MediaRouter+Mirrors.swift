package import Basics
import Forwarding
package import MediaControl
import Negotiation
import RTP

/// Tracks of other workers that this worker has subscribers of. A mirror is a track whose packets come out of a ring:
/// selection of layers, repair, pacing and allocation work on it as on any other, with its own caches.
extension MediaRouter {
    /// Packets of one ring that are taken in one go, so that sockets and timers get their turn.
    private static let largestRun = 64
    /// The home worker answers a subscription by its next turn; after this long nobody waits for it.
    private static let openingTime = Nanoseconds.milliseconds(500)
    private static let watchInterval = Nanoseconds.milliseconds(100)

    /// Forwards a track of another worker on a `send` section.
    ///
    /// - Parameters:
    ///   - description: from `describe` of the worker that has the track.
    ///   - worker: that worker.
    package mutating func bind(
        _ description: TrackDescription,
        from worker: Int,
        to section: SectionReference,
        at now: Instant
    ) throws(MediaError) {
        guard let session = unsafe self.session(section.session) else { throw .noSuchSession }
        guard let leg = unsafe self.leg(section.mid, of: session) else { throw .noSuchSection }
        let map = payloadTypeMap(from: description.section, to: unsafe leg.pointee.section)
        guard !map.isEmpty else { throw .noCommonCodec }
        let track = unsafe self.mirror(description, from: worker, at: now)
        unsafe self.attach(leg, to: track, payloadTypes: map, at: now)
    }

    private mutating func mirror(
        _ description: TrackDescription,
        from worker: Int,
        at now: Instant
    ) -> TrackPointer {
        if let slot = self.crossings.slotBySource[description.source], let track = unsafe self.crossings.mirrors[slot] {
            return unsafe track
        }
        let slot: Int
        if let free = self.crossings.freeSlots.popLast() {
            slot = free
        } else {
            slot = unsafe self.crossings.mirrors.count
            unsafe self.crossings.mirrors.append(nil)
        }
        self.crossings.lastGeneration &+= 1
        let id = UInt64(self.crossings.lastGeneration) << 32 | UInt64(slot)
        let track = TrackPointer.allocate(capacity: 1)
        unsafe track.initialize(
            to: Track(
                mirror: Mirror(id: id, home: worker, opensBy: now + Self.openingTime),
                source: description.source,
                section: description.section,
                at: now
            )
        )
        _ = unsafe track.pointee.takeOver(description)
        unsafe self.crossings.mirrors[slot] = track
        self.crossings.slotBySource[description.source] = slot
        self.counters.mirrors &+= 1
        let ring = self.crossings.ring(from: worker, wake: self.configuration.wake)
        self.tell(worker, .subscribe(description.source, mirror: id, ring))
        self.wakeMirrors(by: now + Self.watchInterval)
        return unsafe track
    }

    /// The home worker says that something is another now.
    mutating func update(_ mirror: UInt64, _ description: TrackDescription, at now: Instant) {
        guard let track = unsafe self.crossings.mirror(mirror) else { return }
        let wasMuted = unsafe track.pointee.isMuted
        let hasPurpose = unsafe track.pointee.purpose == description.purpose
        let hasRole = unsafe track.pointee.speechRole == description.speechRole
        if unsafe track.pointee.takeOver(description) { unsafe self.layersChangedPlaces(of: track, at: now) }
        if !(hasPurpose && hasRole) { unsafe self.needsAllocation(of: track, because: .speaker, at: now) }
        if wasMuted != description.isMuted { unsafe self.muteChanged(of: track, at: now) }
    }

    mutating func endMirror(_ id: UInt64, at now: Instant) {
        guard let track = unsafe self.crossings.mirror(id) else { return }
        unsafe self.destroyMirror(track)
    }

    /// Takes a mirror off all its subscribers and frees it.
    private mutating func destroyMirror(_ track: TrackPointer) {
        guard let id = unsafe track.pointee.mirror?.id else { return }
        while let leg = unsafe track.pointee.legs.last { unsafe self.detach(leg) }
        let slot = Int(id & 0xFFFF_FFFF)
        unsafe self.crossings.mirrors[slot] = nil
        self.crossings.slotBySource[unsafe track.pointee.source] = nil
        self.crossings.freeSlots.append(slot)
        self.counters.mirrors &-= 1
        unsafe Self.free(track)
    }

    func freeMirrors() {
        for track in unsafe Each(self.crossings.mirrors) {
            if let track = unsafe track { unsafe Self.free(track) }
        }
    }

    // MARK: Packets

    /// Takes what other workers have put into their rings, a bounded number of packets from each.
    ///
    /// - Returns: whether there is more: then nobody wakes this worker for it.
    package mutating func receiveCrossings(at now: Instant) -> Bool {
        var isMore = false
        for worker in self.crossings.inbound.indices {
            guard let ring = self.crossings.inbound[worker] else { continue }
            if unsafe ring.front() != nil {
                // The slots bear no times. Half a ring is a quarter of a second of what 20 publishers send.
                let isLong = ring.freeCount < ring.capacity / 2
                self.loadShedding.note(wait: isLong ? .milliseconds(250) : .zero, queue: LoadShedding.rings)
            }
            // They stay in their slots until all of them are forwarded.
            self.beginBatch()
            var count = 0
            while count < Self.largestRun, let slot = unsafe ring.front(count) {
                unsafe self.receiveCrossing(slot, at: now)
                count += 1
            }
            self.endBatch(at: now)
            if count > 0 { ring.release(count) }
            if unsafe ring.front() != nil { isMore = true }
        }
        return isMore
    }

    private mutating func receiveCrossing(_ slot: UnsafeMutableRawBufferPointer, at now: Instant) {
        let record = unsafe slot.load(as: CrossingRecord.self)
        // Of a mirror that was given up meanwhile.
        guard let track = unsafe self.crossings.mirror(record.mirror) else { return }
        let layer = Int(record.layer)
        if record.kind != .packet { self.forwardCollected(at: now) }
        switch record.kind {
        case .packet, .replayed, .padding:
            unsafe self.receiveMirrored(record, slot, track: track, layer: layer, at: now)
        case .clocks:
            unsafe track.pointee.layers[layer].clock = slot.load(
                fromByteOffset: CrossingRecord.factsOffset,
                as: SenderReportClock.self
            )
            unsafe track.pointee.mirror?.publisherClock = slot.load(
                fromByteOffset: CrossingRecord.publisherClockOffset,
                as: PublisherClock.self
            )
        case .opened: unsafe self.open(track, at: now)
        }
    }

    private mutating func receiveMirrored(
        _ record: CrossingRecord,
        _ slot: UnsafeMutableRawBufferPointer,
        track: TrackPointer,
        layer: Int,
        at now: Instant
    ) {
        let byteCount = Int(record.byteCount)
        let payloadLength = Int(record.payloadLength)
        let header = unsafe slot.load(fromByteOffset: CrossingRecord.factsOffset, as: RTPHeaderInfo.self)
        guard CrossingRecord.bytesOffset + byteCount <= slot.count, header.headerLength + payloadLength <= byteCount
        else { return }
        let bytes = unsafe UnsafeMutableRawBufferPointer(
            rebasing: slot[CrossingRecord.bytesOffset..<(CrossingRecord.bytesOffset + byteCount)]
        )
        var packet = unsafe SourcePacket(bytes: bytes, header: header, payloadLength: payloadLength)
        packet.sequence = record.sequence
        packet.paddingRoom = min(
            SourcePacket.largestPadding,
            slot.count - CrossingRecord.bytesOffset - header.headerLength - payloadLength
        )
        let format = unsafe track.pointee.format(header.payloadType)
        guard format.role == .media else { return }
        let source = unsafe track.pointee.layers + layer
        if unsafe source.pointee.ssrc != header.ssrc {
            self.forwardCollected(at: now)
            unsafe self.takeSSRC(header.ssrc, of: track, layer: layer)
        }
        self.counters.mirroredPackets &+= 1
        if record.kind == .replayed {
            unsafe self.keepReplayed(&packet, format: format.payload, track: track, layer: layer, at: now)
            return
        }
        if !record.isRecovered {
            unsafe source.pointee.clock.packet(timestamp: header.timestamp, at: record.arrival)
            unsafe self.noteAlive(track, layer: layer, at: now)
        }
        unsafe self.distribute(packet, format: format, track: track, layer: layer, at: now)
        // Nobody repeats what found no room in the ring: a key frame mends what depends on it.
        let known = unsafe track.pointee.mirror?.dropped[layer] ?? record.droppedCount
        guard record.droppedCount != known else { return }
        unsafe track.pointee.mirror?.dropped[layer] = record.droppedCount
        if unsafe track.pointee.kind == .video { unsafe self.requestKeyFrame(of: track, layer: layer, at: now) }
    }

    /// A packet of the last key frame or after it, from before this mirror was made: for those who join.
    private mutating func keepReplayed(
        _ packet: inout SourcePacket,
        format: PayloadFormat,
        track: TrackPointer,
        layer: Int,
        at now: Instant
    ) {
        let source = unsafe track.pointee.layers + layer
        let keyFrame = unsafe Self.readFrame(&packet, format: format, from: source, at: now)
        if packet.frame.isKeyFrameStart, let keyFrame {
            unsafe self.keyFrameArrived(keyFrame, track: track, layer: layer, at: now)
        }
        unsafe Self.keep(packet, in: source, at: now)
    }

    /// From now on pictures are asked for: all that the home worker kept is here.
    private mutating func open(_ track: TrackPointer, at now: Instant) {
        guard unsafe track.pointee.mirror?.isOpen == false else { return }
        unsafe track.pointee.mirror?.isOpen = true
        for leg in unsafe Each(track.pointee.legs) where unsafe leg.pointee.selector.current == nil {
            unsafe self.start(leg, at: now)
        }
    }

    // MARK: Timers

    mutating func wakeMirrors(by deadline: Instant) {
        self.crossings.deadline = min(self.crossings.deadline, deadline)
    }

    /// Does for mirrors what `runMediaTimers` does for the tracks of a session.
    mutating func runMirrors(at now: Instant) {
        guard now >= self.crossings.deadline else { return }
        self.crossings.deadline = .distantFuture
        let watches = now >= self.crossings.nextWatch
        if watches { self.crossings.nextWatch = now + Self.watchInterval }
        for index in unsafe self.crossings.mirrors.indices {
            guard let track = unsafe self.crossings.mirrors[index], let mirror = unsafe track.pointee.mirror else {
                continue
            }
            // Not at once when the last subscriber went: it may have been bound anew since.
            if watches, unsafe track.pointee.legCount == 0 {
                self.tell(mirror.home, .unsubscribe(unsafe track.pointee.source, mirror: mirror.id))
                unsafe self.destroyMirror(track)
                continue
            }
            if !mirror.isOpen, now >= mirror.opensBy { unsafe self.open(track, at: now) }
            for layer in unsafe 0..<track.pointee.layerCount {
                if unsafe track.pointee.layers[layer].keyFrames.takePending(at: now) {
                    unsafe self.sendKeyFrameRequest(to: track, layer: layer)
                }
                if let pending = unsafe track.pointee.layers[layer].keyFrames.nextDeadline {
                    self.wakeMirrors(by: pending)
                }
            }
            if watches { unsafe self.watch(track, at: now) }
            self.wakeMirrors(by: self.crossings.nextWatch)
        }
    }

    /// Tells the home worker which layer is the highest that anybody here has use for.
    mutating func reportDemand(of track: TrackPointer, highestRank: Int?) {
        guard let mirror = unsafe track.pointee.mirror else { return }
        let layer = highestRank.map { unsafe track.pointee.layer(rank: $0) }
        guard layer != mirror.wantedLayer else { return }
        unsafe track.pointee.mirror?.wantedLayer = layer
        self.tell(mirror.home, .layerWanted(unsafe track.pointee.source, mirror: mirror.id, layer: layer))
    }
}
