import Basics
import TestSupport
import Testing

@testable import CongestionControl

/// What is kept up with each packet has to be what a look at all of them would find.
@Suite("GCC: sums that are kept up")
struct RunningSumTests {
    private struct Packet {
        var send: Int64
        var arrival: Int64
        var byteCount: Int64
    }

    /// The same window, looked at as a whole.
    private struct PlainThroughput {
        private var packets: [Packet] = []
        private var discardedSend = Int64.min

        mutating func add(_ packet: Packet) {
            if let last = self.packets.last, last.arrival - packet.arrival > 1_000_000 {
                self.packets = []
                self.discardedSend = .min
                return
            }
            let place = self.packets.lastIndex { $0.arrival <= packet.arrival }.map { $0 + 1 } ?? 0
            self.packets.insert(packet, at: place)
            while let first = self.packets.first, let last = self.packets.last {
                let duration = last.arrival - first.arrival
                let isOutside =
                    self.packets.count > 500 || duration > 5_000_000
                    || (self.packets.count > 20 && duration > 1_000_000)
                guard isOutside else { break }
                self.discardedSend = max(self.discardedSend, first.send)
                self.packets.removeFirst()
            }
        }

        var bitrate: Double? {
            guard self.packets.count >= 10, let first = self.packets.first, let last = self.packets.last else {
                return nil
            }
            let gaps = zip(self.packets, self.packets.dropFirst()).map { $1.arrival - $0.arrival }.sorted(by: >)
            let received = self.packets.reduce(0) { $0 + $1.byteCount } - first.byteCount
            let receiveRate = Self.rate(received, over: last.arrival - first.arrival - gaps[0] + gaps[1])
            let sent = self.packets.filter { $0.send >= self.discardedSend }
            guard sent.count >= 10, let start = sent.map(\.send).min(), let end = sent.map(\.send).max() else {
                return receiveRate
            }
            let lastSent = sent.first { $0.send == end }?.byteCount ?? 0
            let bytes = sent.reduce(0) { $0 + $1.byteCount } - lastSent
            return min(receiveRate, Self.rate(bytes, over: end - start))
        }

        private static func rate(_ bytes: Int64, over microseconds: Int64) -> Double {
            Double(bytes) * 8e6 / Double(max(microseconds, 1_000))
        }
    }

    @Test("the throughput is that of the whole window, over reordering, bursts, pauses and clocks that jump")
    func throughput() {
        for seed in 1...30 as ClosedRange<UInt64> {
            var random = SeededRandom(seed: seed)
            var estimator = RobustThroughputEstimator()
            var plain = PlainThroughput()
            var send: Int64 = 0
            var arrival: Int64 = 1_000_000
            let disorder = seed % 3 == 0 ? 0.0 : 0.05
            for index in 0..<3_000 {
                if random.chance(0.4) { send += Int64.random(in: 0...8_000, using: &random) }
                arrival += Int64.random(in: 0...4, using: &random) * 250
                if random.chance(0.002) { arrival += Int64.random(in: 0...6_000_000, using: &random) }
                if random.chance(0.001) { arrival -= 1_500_000 }
                var packet = Packet(
                    send: send,
                    arrival: arrival,
                    byteCount: Int64.random(in: 60...1_200, using: &random)
                )
                if random.chance(disorder) { packet.arrival -= Int64.random(in: 0...60_000, using: &random) }
                if random.chance(disorder) { packet.send -= min(Int64.random(in: 0...60_000, using: &random), send) }
                estimator.add(send: packet.send, arrival: packet.arrival, byteCount: Int(packet.byteCount))
                plain.add(packet)
                let (kept, whole) = (estimator.bitrate, plain.bitrate)
                #expect(kept == whole, "seed \(seed), packet \(index)")
                guard kept == whole else { return }
            }
        }
    }

    @Test("the largest gaps are the largest of those that are there", arguments: 1...20 as ClosedRange<UInt64>)
    func gaps(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var gaps = LargestGaps()
        var window: [Int64] = []
        // Many of them are equal with the odd seeds.
        let range: ClosedRange<Int64> = seed % 2 == 0 ? 0...100_000 : 0...5
        for step in 0..<5_000 {
            if window.count < 40 || (window.count < 300 && random.chance(0.5)) {
                let gap = Int64.random(in: range, using: &random)
                window.append(gap)
                gaps.insert(gap)
            } else {
                gaps.remove(window.removeFirst())
            }
            if gaps.isIncomplete {
                gaps.removeAll()
                for gap in window { gaps.insert(gap) }
            }
            let sorted = window.sorted(by: >)
            let isSame = gaps.largest == sorted.first ?? 0 && gaps.second == sorted.dropFirst().first ?? 0
            #expect(isSame, "seed \(seed), step \(step)")
            guard isSame else { return }
        }
    }

    @Test("the standing queue is that of all buckets, over pauses and packets that come late")
    func standingQueue() {
        for seed in 1...6 as ClosedRange<UInt64> {
            var random = SeededRandom(seed: seed)
            var queue = StandingQueue()
            var packets: [Packet] = []
            var now: Int64 = 5_000_000
            for index in 0..<1_000 {
                now += Int64.random(in: 0...60_000, using: &random)
                if random.chance(0.005) { now += Int64.random(in: 0...15_000_000, using: &random) }
                let send = max(now - (random.chance(0.1) ? Int64.random(in: 0...300_000, using: &random) : 0), 0)
                let packet = Packet(
                    send: send,
                    arrival: send + Int64.random(in: 20_000...90_000, using: &random),
                    byteCount: 1_000
                )
                packets.append(packet)
                queue.add(send: packet.send, arrival: packet.arrival, byteCount: 1_000)
                let expected = Self.standing(packets)
                #expect(queue.milliseconds == expected, "seed \(seed), packet \(index)")
                guard queue.milliseconds == expected else { return }
                if packets.count > 700 { packets.removeFirst(200) }
            }
        }
    }

    /// The least delay of the last eight buckets of 25 ms over that of the last twelve of a second, by send time.
    private static func standing(_ packets: [Packet]) -> Double? {
        guard let newest = packets.map(\.send).max() else { return nil }
        // A bucket that was open too long ago when a packet came takes it no more: none is so late here.
        let low = packets.filter { $0.send / 25_000 > newest / 25_000 - 8 }.map { $0.arrival - $0.send }.min()
        let base = packets.filter { $0.send / 1_000_000 > newest / 1_000_000 - 12 }.map { $0.arrival - $0.send }.min()
        guard let low, let base else { return nil }
        return Double(low - base) / 1_000
    }
}
