public import Basics

/// The header fields of one outgoing packet.
@usableFromInline package struct RewrittenPacket: Equatable, Sendable, BitwiseCopyable {
    /// Unwrapped: the lower 16 bits go on the wire, the upper ones are the SRTP roll-over counter.
    @usableFromInline package let sequence: Int64
    @usableFromInline package let timestamp: UInt32
    /// Which stay at a source it belongs to: the key of `VP8Rewriter`.
    @usableFromInline package let generation: UInt32

    @inlinable package init(sequence: Int64, timestamp: UInt32, generation: UInt32) {
        self.sequence = sequence
        self.timestamp = timestamp
        self.generation = generation
    }

    @inlinable package var wireSequence: SequenceNumber { SequenceNumber(UInt16(truncatingIfNeeded: self.sequence)) }
}

/// Whether a forwarded track changed to another source.
@usableFromInline package enum SourceSwitch: Equatable, Sendable {
    /// Go on with `rewrite` for the same packet.
    case switched
    /// Time would run backwards. Keep the old source; ask for another key frame of the new one if told so (once).
    case refused(asksKeyFrame: Bool)
}

/// Makes one continuous RTP stream of what a subscriber is sent of a track (RFC 7667 §3.7): over simulcast layers,
/// packets left out, pauses and changes of publisher.
///
/// - Numbers grow by exactly one over what is sent. What is left out on purpose (`leaveOut`) closes its gap; what is only
///   late gets the number that its place had; what was lost on the way to us leaves its gap open, so the receiver's NACK
///   finds it (`source(of:)`).
/// - `switchSource` starts a source at its first packet: at last + 1, or last + 2 when the frame before was cut short, so
///   that the receiver knows.
/// - Timestamps follow one reference source; others are mapped to it by the caller through the sender reports
///   (`SenderReportClock.translate`), or follow arrival where there are none yet. They never jump back.
///
/// Never gives one number to two packets: with AES-GCM that would give away the key stream.
@usableFromInline package struct RTPRewriter: Sendable, BitwiseCopyable {
    /// Outgoing numbers further back are neither sent late nor repeated.
    @usableFromInline package static let windowSize: Int64 = 2_048
    /// A mapped timestamp this much before the last one is as good as the next tick.
    private static let tolerableStepBack = Nanoseconds.milliseconds(50)
    /// A mapped timestamp this much ahead of arrival comes of a wrong sender report.
    private static let tolerableStepAhead = Nanoseconds.seconds(2)
    /// After this, a refused source is taken by arrival.
    private static let refusalDeadline = Nanoseconds.seconds(1)
    /// A refusal before this has nothing to do with the present switch.
    private static let refusalMemory = Nanoseconds.seconds(5)

    private let clockRate: UInt32
    private let kind: MediaKind
    /// The source that is forwarded; `nil` before the first `switchSource`.
    @usableFromInline package private(set) var source: Int?
    /// What is added to the source's timestamps, modulo 2^32: also what a sender report of this leg needs.
    @usableFromInline package private(set) var timestampOffset: UInt32 = 0
    /// The source whose timestamps the others are mapped to; `nil` before the first.
    package private(set) var referenceSource: Int?
    /// Increases with every change of source.
    @usableFromInline package private(set) var generation: UInt32 = 0
    /// The highest number sent, unwrapped; one less than the first before that.
    @usableFromInline package private(set) var highestOutgoing: Int64
    @usableFromInline var highestSource: Int64 = 0
    @usableFromInline var sequenceOffset: Int64 = 0
    @usableFromInline var lastTimestamp: UInt32
    @usableFromInline var lastArrival = Instant.zero
    @usableFromInline var hasSent = false
    @usableFromInline var frameEnded = true
    private var referenceOffset: UInt32 = 0
    private var refusedSince: Instant?
    // Last, because a packet that comes in order touches one word of them.
    /// Which of the last 2,048 outgoing numbers were used.
    @usableFromInline var used = InlineArray<32, UInt64>(repeating: 0)
    @usableFromInline var map = SequenceMap()

    /// - Parameters:
    ///   - kind: packets of audio are whole frames; only frames of video can be cut short.
    ///   - clockRate: of all sources of the track, in Hz.
    ///   - random: for the first sequence number (below 2^15, so that a receiver who loses the first packets guesses the
    ///     roll-over counter right) and timestamp (RFC 3550 §5.1).
    package init(kind: MediaKind, clockRate: UInt32, using random: inout some RandomNumberGenerator) {
        self.kind = kind
        // From an SDP: bounded, so that an hour of it fits 64 bits.
        self.clockRate = min(clockRate, 100_000_000)
        self.highestOutgoing = Int64.random(in: 0..<32_767, using: &random)
        self.lastTimestamp = UInt32.random(in: .min ... .max, using: &random)
    }

    // MARK: - Per packet

    /// The outgoing header of a packet that is to be sent.
    /// - Parameters:
    ///   - source: as given to `switchSource`. Late packets of an earlier source keep their places too.
    ///   - sequence: the publisher's, unwrapped by `SequenceUnwrapper`.
    ///   - marker: the RTP header's: the last packet of a video frame.
    /// - Returns: `nil` for what must not be sent: a duplicate, a packet that was left out, one too old, one of a source
    ///   that was not switched to.
    @inlinable package mutating func rewrite(
        source: Int,
        sequence: Int64,
        timestamp: UInt32,
        marker: Bool,
        at now: Instant
    ) -> RewrittenPacket? {
        guard source == self.source, sequence > self.highestSource else {
            return self.rewriteLate(source: source, sequence: sequence, timestamp: timestamp)
        }
        if self.isFarAhead(sequence) { self.skipTo(sequence) }
        let outgoing = sequence - self.sequenceOffset
        self.highestSource = sequence
        self.advance(to: outgoing)
        self.frameEnded = marker
        let rewritten = timestamp &+ self.timestampOffset
        if Int32(bitPattern: rewritten &- self.lastTimestamp) > 0 || !self.hasSent {
            self.lastTimestamp = rewritten
            self.lastArrival = now
            self.hasSent = true
        }
        return RewrittenPacket(sequence: outgoing, timestamp: rewritten, generation: self.generation)
    }

    /// Whether `rewrite` would take a packet in order: as the next of its source, neither late nor far ahead.
    @inlinable package func isInOrder(source: Int, sequence: Int64) -> Bool {
        // Asked first: within `&&` it would be a closure, which copies the rewriter.
        let isFarAhead = self.isFarAhead(sequence)
        return source == self.source && sequence > self.highestSource && !isFarAhead
    }

    /// By what was sent, not by what came: gaps between packets that are left out add up, and each number that is passed
    /// over takes time.
    @inlinable func isFarAhead(_ sequence: Int64) -> Bool {
        sequence - self.sequenceOffset - self.highestOutgoing > Self.windowSize
    }

    /// `rewrite` for packets that follow the last one by number, all in order: their numbers follow the last one's, their
    /// timestamps have the offset that it has.
    ///
    /// - Parameters:
    ///   - lastTimestamp: the publisher's, of the last one; those between do not go back.
    ///   - marker: the last one's.
    @inlinable package mutating func rewriteNext(
        _ count: Int,
        lastTimestamp: UInt32,
        marker: Bool,
        at now: Instant
    ) {
        var outgoing = self.highestOutgoing
        for _ in 0..<count {
            outgoing += 1
            self.setUsed(outgoing)
        }
        self.highestOutgoing = outgoing
        self.highestSource += Int64(count)
        self.frameEnded = marker
        let rewritten = lastTimestamp &+ self.timestampOffset
        guard Int32(bitPattern: rewritten &- self.lastTimestamp) > 0 else { return }
        self.lastTimestamp = rewritten
        self.lastArrival = now
    }

    @usableFromInline mutating func rewriteLate(source: Int, sequence: Int64, timestamp: UInt32) -> RewrittenPacket? {
        guard let run = self.map.run(source: source, sequence: sequence) else { return nil }
        let outgoing = sequence - run.offset
        // The newest run is open: what is beyond its highest number was not late, and is not this call's.
        guard source != self.source || sequence <= self.highestSource,
            outgoing > self.highestOutgoing - Self.windowSize
        else { return nil }
        if outgoing > self.highestOutgoing {
            // All that came after it was left out.
            self.advance(to: outgoing)
        } else if self.isUsed(outgoing) {
            return nil
        } else {
            self.setUsed(outgoing)
        }
        return RewrittenPacket(
            sequence: outgoing,
            timestamp: timestamp &+ run.timestampOffset,
            generation: run.generation
        )
    }

    /// A packet of the current source is left out on purpose: an unwanted temporal layer, padding. Its number is closed
    /// up, unless later ones were sent already.
    /// - Returns: whether it was closed up; if not, its place may have been kept (`fillPlace`).
    @discardableResult
    package mutating func leaveOut(source: Int, sequence: Int64) -> Bool {
        guard source == self.source, sequence > self.highestSource else { return false }
        if self.isFarAhead(sequence) { self.skipTo(sequence) }
        self.map.leaveOut(sequence)
        self.highestSource = sequence
        self.sequenceOffset += 1
        return true
    }

    /// A packet is left out on purpose, but its place was kept, because it came late: the receiver waits for a packet of
    /// this number and would ask for it again and again. A packet of padding alone fills it (RFC 3550 §5.1).
    /// - Returns: `nil` when no place is kept: all is well.
    package mutating func fillPlace(source: Int, sequence: Int64, timestamp: UInt32) -> RewrittenPacket? {
        guard source != self.source || sequence <= self.highestSource else { return nil }
        return self.rewriteLate(source: source, sequence: sequence, timestamp: timestamp)
    }

    /// Where an outgoing packet came from, for a NACK of this 16-bit number.
    /// - Returns: `nil` when nothing was sent with it, or too long ago. A number that was kept for a packet that never
    ///   reached us was not sent: the publisher has been asked for it, and it goes out when it comes.
    ///
    /// Mutating, though it changes nothing: see `SequenceMap.run`.
    package mutating func source(of outgoing: SequenceNumber) -> SourcePosition? {
        let behind = Int64(UInt16(truncatingIfNeeded: self.highestOutgoing) &- outgoing.value)
        let unwrapped = self.highestOutgoing - behind
        guard behind < Self.windowSize, unwrapped >= 0, self.isUsed(unwrapped),
            let run = self.map.run(outgoing: unwrapped)
        else { return nil }
        return SourcePosition(
            source: Int(run.source),
            sequence: unwrapped + run.offset,
            outgoingSequence: unwrapped,
            timestampOffset: run.timestampOffset,
            generation: run.generation
        )
    }

    // MARK: - Changing the source

    /// Goes on with another source (or the same one after a pause), from this packet on. Also starts the very first.
    /// - Parameters:
    ///   - source: an index that the caller keeps for the stream, 0...32,767.
    ///   - sequence: of the first packet to come, unwrapped: for video a key frame's first.
    ///   - timestamp: of that packet, as the publisher set it.
    ///   - referenceTimestamp: the same moment in `referenceSource`'s timestamps; `nil` = no sender reports yet. Not
    ///     looked at when `source` is the reference itself.
    package mutating func switchSource(
        to source: Int,
        sequence: Int64,
        timestamp: UInt32,
        referenceTimestamp: UInt32?,
        at now: Instant
    ) -> SourceSwitch {
        guard self.hasSent else {
            self.begin(source, sequence: sequence, timestampOffset: self.lastTimestamp &- timestamp)
            self.makeReference(source)
            return .switched
        }
        let isReference = source == self.referenceSource
        guard let mapped = isReference ? timestamp : referenceTimestamp else {
            self.begin(source, sequence: sequence, timestampOffset: self.timestampByArrival(now) &- timestamp)
            self.makeReference(source)
            return .switched
        }
        let candidate = mapped &+ self.referenceOffset
        let step = Int64(Int32(bitPattern: candidate &- self.lastTimestamp))
        let ahead = Int64(Int32(bitPattern: candidate &- self.timestampByArrival(now)))
        let isTooFarAhead = !isReference && ahead > self.units(Self.tolerableStepAhead)
        if step > 0, !isTooFarAhead {
            self.begin(source, sequence: sequence, timestampOffset: candidate &- timestamp)
            return .switched
        }
        if step <= 0, step >= -self.units(Self.tolerableStepBack) {
            self.begin(source, sequence: sequence, timestampOffset: self.lastTimestamp &+ 1 &- timestamp)
            return .switched
        }
        return self.refuse(source, sequence: sequence, timestamp: timestamp, at: now)
    }

    /// Refuses at first; takes the source by arrival when it has been refused for a second.
    private mutating func refuse(
        _ source: Int,
        sequence: Int64,
        timestamp: UInt32,
        at now: Instant
    ) -> SourceSwitch {
        guard let since = self.refusedSince, now - since < Self.refusalMemory else {
            self.refusedSince = now
            return .refused(asksKeyFrame: true)
        }
        guard now - since >= Self.refusalDeadline else { return .refused(asksKeyFrame: false) }
        self.begin(source, sequence: sequence, timestampOffset: self.timestampByArrival(now) &- timestamp)
        self.makeReference(source)
        return .switched
    }

    /// Another publisher's track takes this one's place: the sources mean something else from now on, and old packets
    /// cannot be repeated. Numbers and timestamps go on with the next `switchSource`.
    package mutating func rebind() {
        self.source = nil
        self.referenceSource = nil
        self.refusedSince = nil
        self.map.removeAll()
    }

    private mutating func begin(_ source: Int, sequence: Int64, timestampOffset: UInt32) {
        let isCutShort = self.hasSent && self.kind == .video && !self.frameEnded
        self.start(
            source,
            sequence: sequence,
            outgoing: self.highestOutgoing + (isCutShort ? 2 : 1),
            timestampOffset: timestampOffset,
            generation: self.generation &+ 1
        )
        self.refusedSince = nil
    }

    private mutating func start(
        _ source: Int,
        sequence: Int64,
        outgoing: Int64,
        timestampOffset: UInt32,
        generation: UInt32
    ) {
        let offset = sequence - outgoing
        // Places that were kept beyond what was sent are others' now.
        self.map.trim(toOutgoing: self.highestOutgoing)
        self.map.append(
            SequenceMap.Run(
                start: sequence,
                end: .max,
                offset: offset,
                timestampOffset: timestampOffset,
                source: Int32(truncatingIfNeeded: source),
                generation: generation
            ),
            endingLastAt: self.highestSource + 1
        )
        self.source = source
        self.highestSource = sequence - 1
        self.sequenceOffset = offset
        self.timestampOffset = timestampOffset
        self.generation = generation
    }

    /// The publisher jumped by more than anybody waits for: its lost packets get no places.
    @usableFromInline mutating func skipTo(_ sequence: Int64) {
        guard let source = self.source else { return }
        self.start(
            source,
            sequence: sequence,
            outgoing: self.highestOutgoing + 2,
            timestampOffset: self.timestampOffset,
            generation: self.generation
        )
    }

    private mutating func makeReference(_ source: Int) {
        self.referenceSource = source
        self.referenceOffset = self.timestampOffset
    }

    /// The last timestamp plus the time since then, at least one frame.
    private func timestampByArrival(_ now: Instant) -> UInt32 {
        let frame = Int64(self.clockRate) / (self.kind == .video ? 30 : 50)
        let elapsed = min(max((now - self.lastArrival).count, 0), 3_600_000_000_000)
        return self.lastTimestamp &+ UInt32(truncatingIfNeeded: max(self.units(Nanoseconds(elapsed)), frame))
    }

    /// Up to an hour: no product overflows.
    private func units(_ duration: Nanoseconds) -> Int64 {
        duration.count / 1_000 * Int64(self.clockRate) / 1_000_000
    }

    // MARK: - Used numbers

    @inlinable func isUsed(_ outgoing: Int64) -> Bool {
        self.used[Int(truncatingIfNeeded: outgoing >> 6) & 31] & (1 << UInt64(outgoing & 63)) != 0
    }

    @inlinable mutating func setUsed(_ outgoing: Int64) {
        self.used[Int(truncatingIfNeeded: outgoing >> 6) & 31] |= 1 << UInt64(outgoing & 63)
    }

    /// Where the next number will be noted, to fetch that memory by.
    @inlinable package mutating func nextNote() -> UnsafeRawPointer {
        let word = Int(truncatingIfNeeded: (self.highestOutgoing &+ 1) >> 6) & 31
        return unsafe withUnsafePointer(to: &self.used) { used in
            unsafe UnsafeRawPointer(used) + word * MemoryLayout<UInt64>.stride
        }
    }

    /// Uses `outgoing`; the numbers passed over are free again for late packets.
    @inlinable mutating func advance(to outgoing: Int64) {
        var skipped = self.highestOutgoing + 1
        while skipped < outgoing {
            self.used[Int(truncatingIfNeeded: skipped >> 6) & 31] &= ~(1 << UInt64(skipped & 63))
            skipped += 1
        }
        self.setUsed(outgoing)
        self.highestOutgoing = outgoing
    }
}
