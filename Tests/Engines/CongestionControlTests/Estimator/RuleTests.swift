import Basics
import Testing

@testable import CongestionControl

@Suite struct RuleTests {
    private static func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    /// A tenth of 200 packets a second is lost; during a trial `kept` of that.
    private static func verdict(keptInTrial kept: Int) -> InherentLoss.Verdict? {
        var inherent = InherentLoss()
        var count = 0
        for step in 0..<400 {
            let now = Self.at(Int64(step) * 50)
            for _ in 0..<10 {
                count += 1
                let isLost = count % 10 == 0 && (!inherent.isTrying || count / 10 % 10 < kept)
                inherent.add(byteCount: 1_000, isLost: isLost, wasLost: false, send: now.nanoseconds / 1_000)
            }
            let verdict = inherent.update(
                rate: 1e6,
                queueMilliseconds: 0,
                roundTripTime: .milliseconds(50),
                at: now
            )
            if let verdict { return verdict }
        }
        return nil
    }

    @Test("loss that stays when less is sent is the radio's: back to the rate before")
    func radio() { #expect(Self.verdict(keptInTrial: 10) == .radio(1e6)) }

    @Test("loss that goes is a policer's: down to what passed")
    func policer() {
        guard case .policer(let rate)? = Self.verdict(keptInTrial: 0) else {
            Issue.record("no policer seen")
            return
        }
        #expect(abs(rate - 0.95 * 0.9 * 1e6) < 0.01e6)
    }

    @Test("loss that becomes less, and does not go, proves nothing")
    func neither() { #expect(Self.verdict(keptInTrial: 4) == nil) }

    @Test("a receiver's clock may stand anywhere, and go back")
    func clocks() {
        var service = ServiceRate()
        for arrival in [Int64.min, -1, 0, .max - 20_000, .max - 3, .max, 5_000, .max] {
            service.add(send: 0, arrival: arrival, byteCount: 1_000)
            _ = service.latest(.short, until: arrival)
            _ = service.latest(.long, until: arrival)
            _ = service.bitrate
        }
        for step in 0..<200 { service.add(send: 0, arrival: 1_000_000 + Int64(step) * 5_000, byteCount: 1_000) }
        #expect(abs((service.latest(.short, until: 1_995_000)?.bitrate ?? 0) - 1.6e6) < 1)
        // What came before the newest says nothing of now.
        service.add(send: 0, arrival: 1_800_000, byteCount: 1_000)
        #expect(service.latest(.short, until: 1_800_000) == nil)
    }

    @Test("a link that takes 24 ms for a packet tells its rate in 100 ms, and never in 60")
    func slowLink() {
        var service = ServiceRate()
        for packet in 0..<30 {
            let arrival = Int64(packet) * 24_000 + 1_000_000
            // Each waits 10 ms longer than the one before.
            service.add(send: arrival - Int64(packet) * 10_000, arrival: arrival, byteCount: 1_200)
            #expect(service.latest(.short, until: arrival) == nil)
            guard packet > 5 else { continue }
            let latest = service.latest(.long, until: arrival)
            #expect((300_000...500_000).contains(latest?.bitrate ?? 0))
            #expect((30_000...40_000).contains(latest?.rise ?? 0))
        }
    }

    @Test("a link that pauses for 40 ms tells nothing, however far back is looked")
    func longPauses() {
        var service = ServiceRate()
        for packet in 0..<30 {
            let arrival = Int64(packet) * 50_000 + 1_000_000
            service.add(send: 0, arrival: arrival, byteCount: 1_200)
            #expect(service.latest(.long, until: arrival) == nil)
        }
    }

    @Test("a link that pauses for 20 ms tells nothing")
    func pauses() {
        var service = ServiceRate()
        for frame in 0..<30 {
            for packet in 0..<6 {
                let arrival = Int64(frame) * 33_333 + Int64(packet) * 500 + 1_000_000
                service.add(send: Int64(frame) * 33_333, arrival: arrival, byteCount: 1_100)
                #expect(service.latest(.short, until: arrival) == nil)
            }
        }
    }

    @Test("when a long queue has gone the next probe asks for the rate before it, twice the estimate at most")
    func queueHasGone() {
        for (factor, expected) in [(1.5, 1.5e6), (5, 2e6)] {
            var prober = GoalProber()
            prober.set(ProbeGoal(bitrate: .kbps(10_000), wanted: .kbps(10_000)), at: .zero)
            _ = prober.congested(at: .zero)
            prober.queueHasGone(factor: factor, at: Self.at(500))
            let early = prober.next(estimate: 1e6, isQuiet: true, at: Self.at(540))
            let due = prober.next(estimate: 1e6, isQuiet: true, at: Self.at(560))
            #expect(early == nil)
            #expect(due?.rate == expected)
        }
    }

    @Test("a probe that could not be sent is tried again at once, five times, without a longer back-off")
    func abandoned() throws {
        var prober = GoalProber()
        prober.set(ProbeGoal(bitrate: .kbps(2_000), wanted: .kbps(2_000)), at: .zero)
        var now = Instant.zero
        var times: [Int64] = []
        for cluster in 1...7 as ClosedRange<UInt16> {
            var probe = prober.next(estimate: 1e6, isQuiet: true, at: now)
            while probe == nil, now < Self.at(30_000) {
                now = now + .milliseconds(10)
                probe = prober.next(estimate: 1e6, isQuiet: true, at: now)
            }
            prober.sent(cluster, try #require(probe), roundTripTime: .milliseconds(50), at: now)
            times.append(now.nanoseconds / 1_000_000)
            prober.abandoned(cluster &+ 100, at: now)
            let isKept = prober.isOutstanding(cluster)
            #expect(isKept)
            prober.abandoned(cluster, at: now)
        }
        #expect(times == [0, 200, 400, 600, 800, 1_000, 2_600])
    }

    /// The result of a cluster that left at `sent` kbit/s, for a path of 1 Mbit/s.
    private static func judge(
        _ prober: inout GoalProber,
        _ cluster: UInt16,
        sent: Double,
        received: Double,
        at now: Instant
    )
        -> Double?
    {
        prober.sent(cluster, GoalProber.Probe(rate: sent * 1_000, milliseconds: 80), roundTripTime: .zero, at: now)
        let result = ProbeResult(
            cluster: cluster,
            bitrate: min(sent, received) * 1_000,
            sendRate: sent * 1_000,
            receiveRate: received * 1_000
        )
        return prober.judge(result, estimate: 1e6, loss: 0, isQuiet: true, at: now)
    }

    @Test("a probe that arrived in fewer moments than it left in is tried again twice before the back-off grows")
    func compressed() {
        var prober = GoalProber()
        prober.set(ProbeGoal(bitrate: .kbps(1_200), wanted: .kbps(2_000)), at: .zero)
        for (cluster, at, next) in [(1, 0, 500), (2, 500, 1_000), (3, 1_000, 2_600)] as [(UInt16, Int64, Int64)] {
            let proven = Self.judge(&prober, cluster, sent: 1_200, received: 1_500, at: Self.at(at))
            #expect(proven == nil)
            let early = prober.next(estimate: 1e6, isQuiet: true, at: Self.at(next - 1))
            let due = prober.next(estimate: 1e6, isQuiet: true, at: Self.at(next))
            #expect(early == nil)
            #expect(due != nil, "\(cluster)")
        }
    }

    @Test(
        "after a success the next probe asks for a little more than the goal, never for more than 1.25 times what is wanted"
    )
    func climb() {
        for (wanted, expected) in [(2_000, 1_344_000), (1_000, 1_250_000)] as [(Int64, Double)] {
            var prober = GoalProber()
            prober.set(ProbeGoal(bitrate: .kbps(1_200), wanted: .kbps(wanted)), at: .zero)
            let first = prober.next(estimate: 1.1e6, isQuiet: true, at: .zero)
            #expect(first?.rate == 1_200_000)
            let proven = Self.judge(&prober, 1, sent: 1_180, received: 1_170, at: .zero)
            #expect(proven == 1_170_000)
            let second = prober.next(estimate: 1.17e6, isQuiet: true, at: Self.at(200))
            #expect(abs((second?.rate ?? 0) - expected) < 1)
        }
    }

    @Test("pairs that arrive faster are a hint until it is taken; just after a congestion it is not")
    func hint() {
        var bursts = BurstRate()
        var time: Int64 = 0
        func pairs(_ count: Int, apart: Int64) {
            for _ in 0..<count {
                bursts.add(send: time, arrival: time, byteCount: 1_250)
                bursts.add(send: time, arrival: time + apart, byteCount: 1_250)
                time += 20_000
            }
        }
        pairs(40, apart: 10_000)
        bursts.mark()
        var hints = [bursts.hasJumped()]
        pairs(10, apart: 5_000)
        hints += [bursts.hasJumped(), bursts.hasJumped()]
        bursts.mark()
        hints.append(bursts.hasJumped())
        #expect(hints == [false, true, true, false])
        var prober = GoalProber()
        _ = prober.congested(at: .zero)
        let isTaken = [prober.hinted(at: Self.at(1_000)), prober.hinted(at: Self.at(4_000))]
        #expect(isTaken == [false, true])
    }
}
