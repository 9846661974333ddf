public import Basics

/// What transport-wide feedback says of one packet, or of a run of lost ones.
@usableFromInline package enum TransportFeedbackStatus: Hashable, Sendable, BitwiseCopyable {
    /// `delta`: since the received packet before it, or since the reference time for the first one; -8.192 s to
    /// 8.19175 s in steps of 250 us.
    case received(SequenceNumber, delta: Nanoseconds)
    /// `count`: 1...65,535 consecutive packets that had not arrived.
    case lost(first: SequenceNumber, count: Int)
}

/// Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
///
/// Runs of lost packets come as one status, because 16 bytes can declare 65,535 of them (ATTACKS A-51): the number of
/// statuses is at most proportional to the packet's length.
@usableFromInline package struct TransportFeedbackView: ~Escapable {
    private let bytes: RawSpan
    private let deltaOffset: Int

    package var baseSequenceNumber: SequenceNumber { SequenceNumber(self.bytes.uint16(at: 12)) }
    /// How many packets it speaks of, lost and received: 0...65,535.
    package var statusCount: Int { Int(self.bytes.uint16(at: 14)) }
    /// In the sender's own time base, which wraps every 12.4 days: multiples of 64 ms, -2^23...2^23-1 of them.
    package var referenceTime: Nanoseconds {
        .milliseconds(Int64(Int32(bitPattern: self.bytes.uint24(at: 16) << 8) >> 8) * 64)
    }
    /// Goes up by one with every feedback packet.
    package var feedbackCount: UInt8 { self.bytes.uint8(at: 19) }

    /// Walks the chunks once, to find the deltas behind them.
    ///
    /// - Parameter bytes: a packet of kind `transportFeedback`.
    /// - Returns: `nil` when chunks or deltas run out before all statuses have theirs, or a symbol is the reserved one.
    @_lifetime(copy bytes)
    fileprivate init?(_ bytes: RawSpan) {
        guard bytes.byteCount >= 20 else { return nil }
        var remaining = Int(bytes.uint16(at: 14))
        var offset = 20
        var deltaLength = 0
        while remaining > 0 {
            guard bytes.byteCount - offset >= 2 else { return nil }
            var chunk = Chunk(bytes.uint16(at: offset), limit: remaining)
            remaining -= chunk.remaining
            offset += 2
            while let run = chunk.next() {
                guard run.symbol != 3 else { return nil }
                deltaLength += run.count * Int(run.symbol)
            }
        }
        guard deltaLength <= bytes.byteCount - offset else { return nil }
        self.bytes = bytes
        self.deltaOffset = offset
    }

    /// Calls `body` for every status in the order of sequence numbers. Neighbouring runs of lost packets may come
    /// separately.
    package func forEachStatus(_ body: (TransportFeedbackStatus) -> Void) {
        var remaining = self.statusCount
        var sequenceNumber = self.baseSequenceNumber
        var offset = 20
        var deltaOffset = self.deltaOffset
        while remaining > 0 {
            var chunk = Chunk(self.bytes.uint16(at: offset), limit: remaining)
            remaining -= chunk.remaining
            offset += 2
            while let run = chunk.next() {
                guard run.symbol != 0 else {
                    body(.lost(first: sequenceNumber, count: run.count))
                    sequenceNumber = sequenceNumber.advanced(by: run.count)
                    continue
                }
                for _ in 0..<run.count {
                    let ticks: Int64
                    if run.symbol == 1 {
                        ticks = Int64(self.bytes.uint8(at: deltaOffset))
                    } else {
                        ticks = Int64(Int16(bitPattern: self.bytes.uint16(at: deltaOffset)))
                    }
                    deltaOffset += Int(run.symbol)
                    body(.received(sequenceNumber, delta: .microseconds(ticks * 250)))
                    sequenceNumber = sequenceNumber.advanced(by: 1)
                }
            }
        }
    }

    /// One chunk, taken apart into runs of equal symbols: 0 lost, 1 a delta of one byte, 2 of two bytes, 3 reserved.
    private struct Chunk {
        /// The symbols that are left, from the upper bits down, two bits each; of a run length chunk only the first.
        private var symbols: UInt32
        private let isRun: Bool
        private(set) var remaining: Int

        /// - Parameter limit: the statuses that are left: a last chunk may have room for more.
        init(_ raw: UInt16, limit: Int) {
            self.isRun = raw & 0x8000 == 0
            if self.isRun {
                self.symbols = UInt32(raw >> 13) << 30
                self.remaining = min(Int(raw & 0x1FFF), limit)
            } else if raw & 0x4000 == 0 {
                // Spreads the 14 single bits to pairs, so that both vectors read alike.
                var spread: UInt32 = 0
                for bit in 0..<14 where raw & (0x2000 >> UInt16(bit)) != 0 { spread |= 1 << UInt32(30 - 2 * bit) }
                self.symbols = spread
                self.remaining = min(14, limit)
            } else {
                self.symbols = UInt32(raw & 0x3FFF) << 18
                self.remaining = min(7, limit)
            }
        }

        mutating func next() -> (symbol: UInt32, count: Int)? {
            guard self.remaining > 0 else { return nil }
            let symbol = self.symbols >> 30
            guard !self.isRun else {
                defer { self.remaining = 0 }
                return (symbol, self.remaining)
            }
            var count = 0
            while self.remaining > 0, self.symbols >> 30 == symbol {
                count += 1
                self.remaining -= 1
                self.symbols <<= 2
            }
            return (symbol, count)
        }
    }
}

extension RTCPPacketView {
    /// - Returns: `nil` for other packets, and for feedback that does not hold what it declares.
    package var transportFeedback: TransportFeedbackView? {
        @_lifetime(copy self) get {
            self.kind == .transportFeedback ? TransportFeedbackView(self.bytes) : nil
        }
    }
}
