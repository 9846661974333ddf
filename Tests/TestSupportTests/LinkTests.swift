import TestSupport
import Testing

/// The last arrival, and how many arrived, of `count` packets that enter every `interval` microseconds.
private func send(
    _ count: Int,
    bytes: Int,
    every interval: Microseconds,
    over link: inout Link
) -> (last: Microseconds, arrived: Int) {
    var result = (last: Microseconds(0), arrived: 0)
    for index in 0..<count {
        guard case .arrives(let time, _, _) = link.send(bytes: bytes, at: Microseconds(index) * interval) else {
            continue
        }
        result = (max(result.last, time), result.arrived + 1)
    }
    return result
}

@Suite("A simulated link")
struct LinkTests {
    @Test("serves packets at its capacity, one after the other", arguments: [300_000, 1_000_000, 30_000_000])
    func servesAtCapacity(capacity: Int64) {
        var configuration = LinkConfiguration(capacity: [(0, capacity)])
        configuration.queueBytes = .max / 16
        var link = Link(configuration, seed: 1)
        let sent = send(1_000, bytes: 1_250, every: 0, over: &link)
        let expected = 25_000 + 1_000 * 10_000 * 1_000_000 / capacity
        #expect(sent.arrived == 1_000)
        #expect(abs(sent.last - expected) <= 2)
    }

    @Test("a packet in service when the capacity changes takes the rest at the new one")
    func capacityChangesInService() throws {
        var link = Link(LinkConfiguration(capacity: [(0, 1_000_000), (0.005, 500_000)]), seed: 1)
        guard case .arrives(let time, let delay, _) = link.send(bytes: 1_250, at: 0) else {
            Issue.record("it was lost")
            return
        }
        // Half of it in 5 ms, the other half in 10 ms.
        #expect(time == 25_000 + 15_000)
        #expect(delay == 0)
    }

    @Test("a capacity of zero holds packets back until it is over")
    func pauses() {
        var link = Link(LinkConfiguration(capacity: [(0, 1_000_000), (1, 0), (3, 1_000_000)]), seed: 1)
        guard case .arrives(let time, _, _) = link.send(bytes: 1_250, at: 1_500_000) else {
            Issue.record("it was lost")
            return
        }
        #expect(time == 3_000_000 + 10_000 + 25_000)
    }

    @Test("periodic pauses take their share of the capacity")
    func periodicPauses() {
        var configuration = LinkConfiguration(capacity: [(0, 1_000_000)])
        configuration.pauses = .init(period: 200_000, duration: 50_000)
        configuration.queueBytes = .max / 16
        var link = Link(configuration, seed: 1)
        let sent = send(750, bytes: 1_250, every: 0, over: &link)
        #expect(abs(sent.last - 25_000 - 10_000_000) <= 50_000)
        #expect(configuration.meanCapacity(from: 0, to: 10) == 750_000)
    }

    @Test("a queue that is full drops what comes, and takes packets again when it has room")
    func queueLimit() {
        var configuration = LinkConfiguration(capacity: [(0, 1_000_000)])
        configuration.queueBytes = 12_500
        var link = Link(configuration, seed: 1)
        #expect(send(20, bytes: 1_250, every: 0, over: &link).arrived == 10)
        #expect(link.droppedCount == 10)
        #expect(link.queuedBytes == 12_500)
        guard case .arrives = link.send(bytes: 1_250, at: 10_000) else {
            Issue.record("no room after one packet left")
            return
        }
        guard case .overflowed = link.send(bytes: 1_250, at: 10_000) else {
            Issue.record("more room than left")
            return
        }
    }

    @Test("jitter never lets packets overtake each other, and stays below 30 ms")
    func jitter() {
        var configuration = LinkConfiguration(capacity: [(0, 100_000_000)])
        configuration.jitterDeviation = 20_000
        var dense = Link(configuration, seed: 7)
        var last: Microseconds = 0
        for index in 0..<2_000 {
            guard case .arrives(let time, _, _) = dense.send(bytes: 100, at: Microseconds(index) * 1_000) else {
                continue
            }
            #expect(time >= last)
            last = time
        }
        // So far apart that none has to wait for the one before it.
        var sparse = Link(configuration, seed: 7)
        var delays: [Microseconds] = []
        for index in 0..<2_000 {
            guard case .arrives(_, let delay, _) = sparse.send(bytes: 100, at: Microseconds(index) * 40_000) else {
                continue
            }
            delays.append(delay)
        }
        #expect(delays.max() ?? 0 <= 30_000)
        // The mean of |N(0, 20 ms)| cut at 30 ms is 14.7 ms.
        let mean = Double(delays.reduce(0, +)) / Double(delays.count)
        #expect(abs(mean - 14_700) < 700)
    }

    @Test("random loss and loss in bursts have the share that was asked for", arguments: [1 as UInt64, 2, 3])
    func loss(seed: UInt64) {
        var configuration = LinkConfiguration(capacity: [(0, 1_000_000_000)])
        configuration.loss = .constant(0.1)
        var random = Link(configuration, seed: seed)
        let arrived = send(20_000, bytes: 100, every: 10, over: &random).arrived
        #expect(abs(Double(arrived) / 20_000 - 0.9) < 0.01, "seed \(seed)")
        configuration.loss = .constant(0)
        configuration.burstLoss = .init(share: 0.05, meanLength: 8)
        var bursts = Link(configuration, seed: seed)
        let rest = send(100_000, bytes: 100, every: 10, over: &bursts).arrived
        #expect(abs(Double(rest) / 100_000 - 0.95) < 0.01, "seed \(seed)")
    }

    @Test("a policer passes its rate and its bucket")
    func policer() {
        var configuration = LinkConfiguration(capacity: [(0, 100_000_000)])
        configuration.policer = .init(rate: 1_000_000, bucketBytes: 30_000)
        var link = Link(configuration, seed: 1)
        // 2 Mbit/s for 10 s.
        let arrived = send(2_000, bytes: 1_250, every: 5_000, over: &link).arrived
        #expect(abs(arrived - 1_000 - 24) <= 2)
    }

    @Test("a packet that waited for longer than the threshold is marked")
    func marking() {
        var configuration = LinkConfiguration(capacity: [(0, 1_000_000)])
        configuration.markingThreshold = 15_000
        var link = Link(configuration, seed: 1)
        var marks: [Bool] = []
        for _ in 0..<3 {
            if case .arrives(_, _, let isMarked) = link.send(bytes: 1_250, at: 0) { marks.append(isMarked) }
        }
        #expect(marks == [false, true, true])
    }
}
