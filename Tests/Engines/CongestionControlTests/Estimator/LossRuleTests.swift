import Basics
import Testing

@testable import CongestionControl

/// Rule L: what it blames on the rate, what it forgets, and when the loss model may be asked again.
@Suite struct LossRuleTests {
    /// `InherentLoss`, fed with feedback each 50 ms.
    private struct Path {
        var inherent = InherentLoss()
        var now = Instant.zero
        private var debt = 0.0

        /// - Parameter perFeedback: packets.
        mutating func run(_ seconds: Double, loss: Double, perFeedback: Int = 10) -> InherentLoss.Verdict? {
            let end = self.now + .fractionalSeconds(seconds)
            var verdict: InherentLoss.Verdict?
            while self.now < end {
                self.now = self.now + .milliseconds(50)
                for _ in 0..<perFeedback {
                    self.debt += loss
                    let isLost = self.debt >= 1
                    if isLost { self.debt -= 1 }
                    let send = self.now.nanoseconds / 1_000
                    self.inherent.add(byteCount: 1_000, isLost: isLost, wasLost: false, send: send)
                }
                verdict = verdict ?? self.update()
            }
            return verdict
        }

        mutating func update() -> InherentLoss.Verdict? {
            self.inherent.update(rate: 1e6, queueMilliseconds: 0, roundTripTime: .milliseconds(50), at: self.now)
        }

        /// A radio that loses so much, as a trial has found it.
        static func radio(loss: Double) -> Path {
            var path = Path()
            _ = path.run(8, loss: loss)
            return path
        }
    }

    @Test("after a drain nothing is counted, and the radio's loss is still known")
    func forget() {
        var path = Path.radio(loss: 0.2)
        let before = path.inherent.share
        path.inherent.forget()
        _ = path.update()
        let after = path.inherent.share
        #expect(abs(before - 0.2) < 0.03)
        #expect(after == before)
    }

    @Test("what few packets lose more by chance is not blamed on the rate, what many lose more is")
    func chance() {
        for (perFeedback, isBlamed) in [(1, false), (10, true)] {
            var path = Path.radio(loss: 0.2)
            path.inherent.forget()
            _ = path.run(1.2, loss: 0.31, perFeedback: perFeedback)
            let blame = path.inherent.blame
            #expect((blame > 0) == isBlamed, "\(perFeedback): \(blame)")
        }
    }

    @Test("there is no trial before the loss of 1.5 s is known: what it is compared with would be chance")
    func tooEarly() {
        var path = Path()
        _ = path.run(1.2, loss: 0.3)
        let early = path.inherent.isTrying
        _ = path.run(0.6, loss: 0.3)
        let later = path.inherent.isTrying
        #expect(!early)
        #expect(later)
    }

    @Test("far more loss than a trial could tell apart ends the belief in the radio")
    func tooMuch() {
        var path = Path.radio(loss: 0.2)
        let before = path.inherent.share
        // Onto another rate: what was counted is gone, what was learnt is not.
        path.inherent.forget()
        _ = path.run(2, loss: 0.6)
        let after = path.inherent.share
        #expect(before > 0.15)
        #expect(after == 0)
    }

    @Test("the radio's loss follows what is lost later, slowly, and never above what a trial has found")
    func follows() {
        var path = Path.radio(loss: 0.2)
        let found = path.inherent.share
        _ = path.run(2, loss: 0.12)
        let soon = path.inherent.share
        _ = path.run(20, loss: 0.12)
        let later = path.inherent.share
        _ = path.run(20, loss: 0.2)
        let again = path.inherent.share
        #expect(soon > 0.17 && soon < found)
        #expect(abs(later - 0.12) < 0.02)
        #expect(again <= found)
    }

    /// The loss model holds the rate: a tenth was lost for half a minute.
    private static func limited() -> EstimatorCore {
        var core = EstimatorCore(EstimatorConfiguration(), start: .kbps(1_000), at: .zero)
        for feedback in 0..<600 as Range<Int64> {
            for packet in 0..<5 as Range<Int64> {
                let share = packet == 0 && feedback % 2 == 0 ? 1.0 : 0
                core.loss.add(
                    byteCount: 1_200,
                    lostShare: share,
                    wasLost: false,
                    send: (feedback * 5 + packet) * 10_000
                )
            }
            core.loss.endFeedback(acknowledged: 0.864e6, delayBased: 1e6, isApplicationLimited: false)
        }
        return core
    }

    @Test("a rate that losses hold is probed again as soon as none of them is blamed on the rate")
    func forgiven() {
        var core = Self.limited()
        let before = (core.isLossLimited, core.isQuiet)
        core.loss.forgive()
        let after = (core.isLossLimited, core.isQuiet, core.loss.averageLoss)
        #expect(before == (true, false))
        #expect(after == (true, true, 0))
    }
}
