import Basics
import TestSupport
import Testing

@Suite struct TimerWheelTests {
    @Test func `an owner is woken at its deadline and not before`() {
        var wheel = TimerWheel(now: .zero)
        wheel.reserve(2)
        var popped: Int?
        wheel.schedule(1, at: .zero + .milliseconds(5))
        popped = wheel.popExpired(at: .zero + .microseconds(4_999))
        #expect(popped == nil)
        popped = wheel.popExpired(at: .zero + .milliseconds(5))
        #expect(popped == 1)
        popped = wheel.popExpired(at: .zero + .milliseconds(6))
        #expect(popped == nil)
        let isEmpty = wheel.isEmpty
        #expect(isEmpty)
    }

    @Test func `a new deadline replaces the old one, also with an earlier one`() {
        var wheel = TimerWheel(now: .zero)
        wheel.reserve(1)
        var popped: Int?
        wheel.schedule(0, at: .zero + .seconds(9))
        wheel.schedule(0, at: .zero + .milliseconds(3))
        popped = wheel.popExpired(at: .zero + .milliseconds(4))
        #expect(popped == 0)
        popped = wheel.popExpired(at: .zero + .seconds(10))
        #expect(popped == nil)
    }

    @Test func `a deadline many turns ahead is kept`() {
        var wheel = TimerWheel(now: .zero)
        wheel.reserve(1)
        var popped: Int?
        wheel.schedule(0, at: .zero + .seconds(30))
        var now = Instant.zero
        while now < .zero + .milliseconds(29_999) {
            popped = wheel.popExpired(at: now)
            #expect(popped == nil)
            now = now + .milliseconds(7)
        }
        popped = wheel.popExpired(at: .zero + .seconds(30))
        #expect(popped == 0)
    }

    @Test func `the wheel agrees with a sorted list over random schedules`() throws {
        let seed: UInt64 = 20_261_121
        var random = SeededRandom(seed: seed)
        var wheel = TimerWheel(now: .zero)
        let ownerCount = 50
        wheel.reserve(ownerCount)
        var model = [Int: Instant]()
        var now = Instant.zero
        for _ in 0..<20_000 {
            let owner = Int.random(in: 0..<ownerCount, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                wheel.cancel(owner)
                model[owner] = nil
            default:
                let deadline = now + .microseconds(.random(in: -2_000...3_000_000, using: &random))
                wheel.schedule(owner, at: deadline)
                // What is past already is due now.
                model[owner] = max(deadline, now)
            }
            if let earliest = model.values.min() {
                let deadline = wheel.nextDeadline()
                let next = try #require(deadline, "seed \(seed)")
                // To the millisecond: the wheel rounds up, and the past becomes the next tick.
                #expect(next <= max(earliest, now) + .milliseconds(2), "seed \(seed)")
            }
            now = now + .microseconds(.random(in: 0...4_000, using: &random))
            while let expired = wheel.popExpired(at: now) {
                let deadline = try #require(model[expired], "seed \(seed)")
                #expect(deadline <= now, "seed \(seed)")
                model[expired] = nil
            }
            // Whatever is left over is due in less than a tick.
            for (owner, deadline) in model {
                #expect(deadline > now + .milliseconds(-2), "owner \(owner), seed \(seed)")
            }
        }
    }

    @Test func `after a long stop everything that is due comes at once`() {
        var wheel = TimerWheel(now: .zero)
        wheel.reserve(100)
        for owner in 0..<100 { wheel.schedule(owner, at: .zero + .milliseconds(Int64(owner) * 37)) }
        var woken = 0
        while wheel.popExpired(at: .zero + .seconds(3_600)) != nil { woken += 1 }
        #expect(woken == 100)
    }
}
