package import Basics
package import RTP

/// Notes when a publisher's packets arrived, and with which marks, by SSRC and RTP sequence number: what congestion
/// control feedback tells it (RFC 8888 §3.1). For publishers that negotiated this in place of transport-wide feedback.
///
/// One per publishing session. At `nextDeadline`, until it gives 0:
///
///     let count = recorder.collect(at: now, into: &reports)
///     writer.appendCongestionControlFeedback(from: ssrc, about: reports.extracting(first: count), timestamp: now)
///
/// Bounds: 32 streams, the last 512 arrivals (12 KiB, made with the first packet); of one stream at most 512 numbers are
/// described at a time; a packet that comes 128 numbers late or more is not told of.
@usableFromInline package struct CongestionFeedbackRecorder: ~Copyable {
    /// Streams that can be told of at once.
    package static let streamCount = 32
    private static let memory = 512
    private static let longestWindow: Int64 = 512
    private static let longestDelay: Int64 = 128
    /// More than this is told of at once.
    private static let urgent = 200
    private static let interval = Nanoseconds.milliseconds(50)
    /// Reports that one deadline may lead to, whatever a publisher sends.
    private static let largestRun = 4

    // Not private: whoever owns a recorder frees its memory.
    @usableFromInline struct Arrival: BitwiseCopyable, Sendable {
        var at: Int64 = 0
        /// Unwrapped; `.min` = none.
        var number = Int64.min
        var stream: UInt8 = 0
        var mark = ECNMark.notCapable
    }

    @usableFromInline struct Stream: BitwiseCopyable, Sendable {
        var ssrc = SSRC(0)
        /// What is to be told of next, unwrapped: `begin..<end`, the last of them received.
        var begin: Int64 = 0
        var end: Int64 = 0
        var isUsed = false
        /// Where `collect` has put the first of them.
        var offset = 0
        var taken: Int64 = 0
    }

    @usableFromInline var arrivals = FixedStorage<Arrival>(repeating: Arrival(), count: 0)
    @usableFromInline var streams = FixedStorage<Stream>(repeating: Stream(), count: 0)
    private var arrivalCount = 0
    /// Since the last report.
    private var pending = 0
    private var run = 0
    /// When `collect` has something to say; `distantFuture` while nothing new has arrived.
    package private(set) var nextDeadline = Instant.distantFuture

    package init() {}

    /// Notes one packet.
    /// - Parameter stream: 0..<`streamCount`, a place of this SSRC alone; when another SSRC takes it, that is told of alone.
    package mutating func received(
        _ number: SequenceNumber,
        of ssrc: SSRC,
        stream: Int,
        mark: ECNMark,
        at arrival: Instant
    ) {
        guard stream >= 0, stream < Self.streamCount else { return }
        if self.streams.count == 0 {
            self.arrivals = FixedStorage(repeating: Arrival(), count: Self.memory)
            self.streams = FixedStorage(repeating: Stream(), count: Self.streamCount)
        }
        var state = self.streams[stream]
        if !state.isUsed || state.ssrc != ssrc {
            if state.isUsed { self.forget(stream) }
            let first = Int64(number.value) + 65_536
            state = Stream(ssrc: ssrc, begin: first, end: first, isUsed: true)
        }
        let distance = number.distance(from: SequenceNumber(UInt16(truncatingIfNeeded: state.end &- 1)))
        let unwrapped = state.end - 1 + Int64(distance)
        if unwrapped >= state.end {
            state.end = unwrapped + 1
            state.begin = max(state.begin, state.end - Self.longestWindow)
        } else {
            guard state.end - unwrapped <= Self.longestDelay else { return self.streams[stream] = state }
            // What was told of as missing is told of again.
            state.begin = min(state.begin, unwrapped)
        }
        self.streams[stream] = state
        self.arrivals[self.arrivalCount & (Self.memory - 1)] = Arrival(
            at: arrival.nanoseconds,
            number: unwrapped,
            stream: UInt8(truncatingIfNeeded: stream),
            mark: mark
        )
        self.arrivalCount &+= 1
        self.pending += 1
        if self.nextDeadline == .distantFuture { self.nextDeadline = arrival + Self.interval }
        if self.pending >= Self.urgent { self.nextDeadline = min(self.nextDeadline, arrival) }
    }

    private mutating func forget(_ stream: Int) {
        for index in 0..<Self.memory where Int(self.arrivals[index].stream) == stream {
            self.arrivals[index].number = .min
        }
    }

    /// Writes what is to be told now, by streams and in order of number.
    /// - Returns: how many were written; 0 before the deadline, and when all was told.
    package mutating func collect(at now: Instant, into output: inout MutableSpan<PacketReport>) -> Int {
        guard now >= self.nextDeadline else { return 0 }
        guard self.run < Self.largestRun else {
            for stream in 0..<Self.streamCount { self.streams[stream].begin = self.streams[stream].end }
            return self.finish()
        }
        self.run += 1
        let count = self.layOut(into: &output)
        guard count > 0 else { return self.finish() }
        let oldest = max(0, self.arrivalCount - Self.memory)
        for index in oldest..<self.arrivalCount {
            let arrival = self.arrivals[index & (Self.memory - 1)]
            let stream = self.streams[Int(arrival.stream)]
            let position = arrival.number &- (stream.begin - stream.taken)
            guard arrival.number != .min, position >= 0, position < stream.taken else { continue }
            let place = stream.offset + Int(position)
            output[place] = PacketReport(
                stream.ssrc,
                output[place].sequenceNumber,
                arrival: Self.arrival(at: arrival.at, told: now),
                mark: arrival.mark
            )
        }
        return count
    }

    /// All numbers that are to be told, as if none had come.
    private mutating func layOut(into output: inout MutableSpan<PacketReport>) -> Int {
        var count = 0
        for index in 0..<Self.streamCount {
            let stream = self.streams[index]
            let taken = min(stream.end - stream.begin, Int64(output.count - count))
            for offset in 0..<taken {
                let number = SequenceNumber(UInt16(truncatingIfNeeded: stream.begin + offset))
                output[count + Int(offset)] = PacketReport(stream.ssrc, number, arrival: .none, mark: .notCapable)
            }
            self.streams[index].offset = count
            self.streams[index].taken = taken
            self.streams[index].begin = stream.begin + taken
            count += Int(taken)
        }
        return count
    }

    private mutating func finish() -> Int {
        self.nextDeadline = .distantFuture
        self.pending = 0
        self.run = 0
        return 0
    }

    /// In 1/1024 s before the report (RFC 8888 §3.1).
    private static func arrival(at arrival: Int64, told now: Instant) -> ReportedArrival {
        let units = max(0, now.nanoseconds &- arrival) / 1_000 * 1_024 / 1_000_000
        return units <= 8_189 ? .before(UInt16(units)) : .unknown
    }
}
