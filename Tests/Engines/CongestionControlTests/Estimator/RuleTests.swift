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
