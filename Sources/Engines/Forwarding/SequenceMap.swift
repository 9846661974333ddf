/// Where an outgoing packet came from: what a retransmission is re-made with.
@usableFromInline package struct SourcePosition: Equatable, Sendable, BitwiseCopyable {
    /// The index that `RTPRewriter.switchSource` was given.
    @usableFromInline package let source: Int
    /// The publisher's number, unwrapped: the key of its `PacketCache`.
    @usableFromInline package let sequence: Int64
    /// Our own number, unwrapped.
    @usableFromInline package let outgoingSequence: Int64
    /// What to add to the publisher's timestamp, modulo 2^32.
    @usableFromInline package let timestampOffset: UInt32
    /// Which stay at a source it was sent in: the key of `VP8Rewriter`.
    @usableFromInline package let generation: UInt32

    @inlinable package init(
        source: Int,
        sequence: Int64,
        outgoingSequence: Int64,
        timestampOffset: UInt32,
        generation: UInt32
    ) {
        self.source = source
        self.sequence = sequence
        self.outgoingSequence = outgoingSequence
        self.timestampOffset = timestampOffset
        self.generation = generation
    }
}

/// Which source numbers went to which outgoing numbers, for the last 64 runs of constant offset, both ways.
///
/// A run ends where a packet was left out on purpose, and where the source changed. Numbers between two runs were left
/// out, and have no place. Older runs are forgotten: their packets are too late to send, and too old to repeat.
@usableFromInline struct SequenceMap: Sendable, BitwiseCopyable {
    @usableFromInline static let capacity = 64

    struct Run: BitwiseCopyable {
        /// Source numbers, `end` not included; `.max` while it grows.
        var start: Int64
        var end: Int64
        /// Outgoing number = source number - offset.
        var offset: Int64
        var timestampOffset: UInt32
        var source: Int32
        var generation: UInt32
    }

    private var runs = InlineArray<64, Run>(
        repeating: Run(start: 0, end: 0, offset: 0, timestampOffset: 0, source: 0, generation: 0)
    )
    private var newest = 0
    private var count = 0

    init() {}

    mutating func removeAll() { self.count = 0 }

    /// Ends the newest run before `end`, and starts `run`.
    mutating func append(_ run: Run, endingLastAt end: Int64) {
        if self.count > 0 { self.runs[self.newest].end = min(self.runs[self.newest].end, end) }
        self.newest = (self.newest + 1) % Self.capacity
        self.runs[self.newest] = run
        self.count = min(self.count + 1, Self.capacity)
    }

    /// Ends all runs at an outgoing number.
    mutating func trim(toOutgoing last: Int64) {
        for age in 0..<self.count {
            let index = (self.newest + Self.capacity - age) % Self.capacity
            // `end` may be `.max`, so the sum is on the other side.
            let end = last + 1 + self.runs[index].offset
            if self.runs[index].end > end { self.runs[index].end = max(end, self.runs[index].start) }
        }
    }

    /// The number after the newest run's last one is left out.
    mutating func leaveOut(_ sequence: Int64) {
        guard self.count > 0 else { return }
        var run = self.runs[self.newest]
        run.offset += 1
        if run.start == sequence {
            run.start = sequence + 1
            self.runs[self.newest] = run
        } else {
            run.start = sequence + 1
            self.append(run, endingLastAt: sequence)
        }
    }

    // Mutating, though they change nothing: of a map that is lent Swift 6.3 copies all 2.5 KiB.

    /// The run that has this source number.
    mutating func run(source: Int, sequence: Int64) -> Run? {
        for age in 0..<self.count {
            let run = self.runs[(self.newest + Self.capacity - age) % Self.capacity]
            if Int(run.source) == source, run.start <= sequence, sequence < run.end { return run }
        }
        return nil
    }

    /// The run that has this outgoing number.
    mutating func run(outgoing: Int64) -> Run? {
        for age in 0..<self.count {
            let run = self.runs[(self.newest + Self.capacity - age) % Self.capacity]
            // `end` may be `.max`, so the sum is on the other side.
            if run.start - run.offset <= outgoing, outgoing + run.offset < run.end { return run }
        }
        return nil
    }
}
