package import Basics

/// A packet with a transport-wide sequence number, and when it came.
@usableFromInline package struct PacketArrival: Hashable, Sendable, BitwiseCopyable {
    package var sequenceNumber: SequenceNumber
    /// In any time base that stays the same; `nil` = it has not come.
    package var microseconds: Int64?

    package init(_ sequenceNumber: SequenceNumber, microseconds: Int64?) {
        self.sequenceNumber = sequenceNumber
        self.microseconds = microseconds
    }
}

/// Writes transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1). One per transport: it
/// counts the feedback packets.
@usableFromInline package struct TransportFeedbackBuilder: Sendable {
    package let senderSSRC: SSRC
    package var mediaSSRC: SSRC
    /// The number that the next packet gets.
    package private(set) var feedbackCount: UInt8
    /// In units of 64 ms. Feedback without a received packet repeats it, so that the receiver sees no jump in time.
    private var referenceTime: Int64 = 0

    package init(senderSSRC: SSRC, mediaSSRC: SSRC, feedbackCount: UInt8 = 0) {
        self.senderSSRC = senderSSRC
        self.mediaSSRC = mediaSSRC
        self.feedbackCount = feedbackCount
    }

    /// Writes one feedback packet about as many of `arrivals` as it can carry.
    ///
    /// Numbers left out between two arrivals are reported as lost. The packet ends early where the memory ends, where
    /// two arrivals are more than 8.19 s apart, and where a number does not come after the one before it; go on with
    /// the rest.
    ///
    /// - Parameters:
    ///   - arrivals: in order, as numbers wrap; each number once.
    ///   - writer: where to.
    /// - Returns: how many arrivals it has dealt with; 0, with nothing written, when there are none or no room.
    package mutating func append(_ arrivals: Span<PacketArrival>, to writer: inout RTCPWriter) -> Int {
        let start = writer.count
        // The length field reaches no further than 65,536 words.
        let limit = start + min(writer.remaining, 0x4_0000) & ~3
        guard !arrivals.isEmpty, writer.begin(205, count: 15, length: 20) else { return 0 }
        writer.put(self.senderSSRC.value)
        writer.put(self.mediaSSRC.value)
        writer.put(arrivals[0].sequenceNumber.value)
        writer.put(0 as UInt16)
        writer.put(0 as UInt32)

        var chunks = ChunkEncoder()
        var clock: Int64?
        var reference = self.referenceTime
        var deltaLength = 0
        var statusCount = 0
        var taken = 0
        while taken < arrivals.count {
            let arrival = arrivals[taken]
            if taken > 0 {
                let distance = arrival.sequenceNumber.distance(from: arrivals[taken - 1].sequenceNumber)
                guard distance >= 1 else { break }
                let gap = distance - 1
                // Room for what is open, for what the gap needs and for one more.
                guard statusCount + gap <= 0xFFFF,
                    writer.count + 2 * (3 + gap / ChunkEncoder.longestRun) + deltaLength <= limit
                else { break }
                chunks.add(symbol: 0, count: gap, to: &writer)
                statusCount += gap
            }
            var symbol: UInt32 = 0
            var nextClock = clock
            var nextReference = reference
            if let microseconds = arrival.microseconds {
                let tick = Self.tick(microseconds)
                if clock == nil { nextReference = tick >> 8 }
                guard let delta = Self.delta(from: clock ?? nextReference << 8, to: tick) else { break }
                symbol = delta >= 0 && delta <= 255 ? 1 : 2
                nextClock = tick
            }
            guard statusCount < 0xFFFF, writer.count + 4 + deltaLength + Int(symbol) <= limit else { break }
            chunks.add(symbol: symbol, count: 1, to: &writer)
            (clock, reference) = (nextClock, nextReference)
            deltaLength += Int(symbol)
            statusCount += 1
            taken += 1
        }
        guard taken > 0 else {
            writer.rewind(to: start)
            return 0
        }
        chunks.finish(to: &writer)
        Self.writeDeltas(of: arrivals, count: taken, reference: reference, to: &writer)
        writer.patch(UInt16(truncatingIfNeeded: statusCount), at: start + 14)
        writer.patch(UInt16(truncatingIfNeeded: reference >> 8), at: start + 16)
        writer.patch(UInt16(truncatingIfNeeded: reference << 8) | UInt16(self.feedbackCount), at: start + 18)
        guard writer.end(start) else { return 0 }
        self.referenceTime = reference
        self.feedbackCount &+= 1
        return taken
    }

    private static func writeDeltas(
        of arrivals: Span<PacketArrival>,
        count: Int,
        reference: Int64,
        to writer: inout RTCPWriter
    ) {
        var clock = reference << 8
        for index in 0..<count {
            guard let microseconds = arrivals[index].microseconds else { continue }
            let tick = Self.tick(microseconds)
            let delta = Self.delta(from: clock, to: tick) ?? 0
            if delta >= 0, delta <= 255 {
                writer.put(UInt8(truncatingIfNeeded: delta))
            } else {
                writer.put(UInt16(bitPattern: delta))
            }
            clock = tick
        }
    }

    /// The nearest multiple of 250 us. Rounding every time by itself keeps the errors of deltas from adding up.
    private static func tick(_ microseconds: Int64) -> Int64 {
        let shifted = microseconds &+ 125
        let quotient = shifted / 250
        return shifted < 0 && quotient * 250 != shifted ? quotient - 1 : quotient
    }

    private static func delta(from clock: Int64, to tick: Int64) -> Int16? { Int16(exactly: tick &- clock) }
}

/// Packs statuses into chunks: a run where all are equal, else a vector of 14 without two-byte deltas, else one of 7.
private struct ChunkEncoder {
    static let longestRun = 0x1FFF

    /// The open symbols, the oldest in the lowest two bits. Of a run above 14 only the first counts.
    private var symbols: UInt32 = 0
    private var count = 0
    private var isUniform = true
    private var hasLarge = false

    /// Writes at most one chunk more than the run of `count` fills. What stays open always fits one chunk.
    mutating func add(symbol: UInt32, count: Int, to writer: inout RTCPWriter) {
        var left = count
        while left > 0 {
            if self.count > 0, self.isUniform, self.symbols & 3 == symbol, self.count < Self.longestRun {
                let added = min(left, Self.longestRun - self.count)
                // Beyond 14 it stays a run, of which only the first symbol counts.
                for position in min(self.count, 14)..<min(self.count + added, 14) {
                    self.symbols |= symbol << UInt32(2 * position)
                }
                self.count += added
                left -= added
                continue
            }
            if !self.accepts(symbol) { self.emit(to: &writer) }
            self.append(symbol)
            left -= 1
        }
    }

    /// Writes what is open.
    mutating func finish(to writer: inout RTCPWriter) {
        guard self.count > 0 else { return }
        if self.isUniform {
            self.writeRun(to: &writer)
        } else if self.count <= 7 {
            self.writeLargeVector(to: &writer)
        } else {
            self.writeSmallVector(to: &writer)
        }
    }

    private func accepts(_ symbol: UInt32) -> Bool {
        self.count < 7 || (self.count < 14 && !self.hasLarge && symbol != 2)
    }

    private mutating func append(_ symbol: UInt32) {
        if self.count > 0, self.symbols & 3 != symbol { self.isUniform = false }
        if symbol == 2 { self.hasLarge = true }
        self.symbols |= symbol << UInt32(2 * self.count)
        self.count += 1
    }

    /// Makes room for a symbol that was not accepted: seven or more are open.
    private mutating func emit(to writer: inout RTCPWriter) {
        if self.isUniform {
            self.writeRun(to: &writer)
        } else if self.count == 14 {
            self.writeSmallVector(to: &writer)
        } else {
            self.writeLargeVector(to: &writer)
            guard self.count > 7 else {
                self = ChunkEncoder()
                return
            }
            var rest = ChunkEncoder()
            for position in 7..<self.count { rest.append(self.symbols >> UInt32(2 * position) & 3) }
            self = rest
            return
        }
        self = ChunkEncoder()
    }

    private func writeRun(to writer: inout RTCPWriter) {
        writer.put(UInt16(truncatingIfNeeded: (self.symbols & 3) << 13) | UInt16(truncatingIfNeeded: self.count))
    }

    private func writeSmallVector(to writer: inout RTCPWriter) {
        var chunk: UInt16 = 0x8000
        for position in 0..<min(self.count, 14) where self.symbols >> UInt32(2 * position) & 3 != 0 {
            chunk |= 0x2000 >> UInt16(position)
        }
        writer.put(chunk)
    }

    private func writeLargeVector(to writer: inout RTCPWriter) {
        var chunk: UInt16 = 0xC000
        for position in 0..<min(self.count, 7) {
            let symbol = UInt16(truncatingIfNeeded: self.symbols >> UInt32(2 * position) & 3)
            chunk |= symbol << UInt16(12 - 2 * position)
        }
        writer.put(chunk)
    }
}
