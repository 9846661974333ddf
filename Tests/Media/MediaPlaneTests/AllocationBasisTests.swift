import Basics
import CongestionControl
import Testing

@testable import MediaPlane

@Suite struct AllocationBasisTests {
    private static func estimate(
        _ kbps: Int64,
        isCongested: Bool = false,
        loss: Double = 0,
        queue: Nanoseconds? = nil
    ) -> BandwidthEstimate {
        BandwidthEstimate(
            bitrate: .kbps(kbps),
            pacingRate: .kbps(kbps),
            standingQueue: queue,
            isCongested: isCongested,
            lossFraction: loss,
            source: .transportFeedback
        )
    }

    /// Of an allocation at 10 s with an estimate of 2,000 kbit/s.
    private static func basis(
        allocated: Int64,
        wanted: Int64,
        isProvisional: Bool = false
    ) -> AllocationBasis {
        var basis = AllocationBasis()
        let goal = wanted > allocated ? ProbeGoal(bitrate: .kbps(wanted), wanted: .kbps(wanted)) : ProbeGoal.none
        basis.note(
            self.estimate(2_000),
            audio: .zero,
            offers: 7,
            allocated: .kbps(allocated),
            wanted: .kbps(wanted),
            goal: goal,
            isProvisional: isProvisional,
            at: .zero + .seconds(10)
        )
        return basis
    }

    private static func holds(
        _ basis: AllocationBasis,
        _ estimate: BandwidthEstimate,
        audio: Bitrate = .zero,
        offers: UInt32 = 7,
        after: Nanoseconds = .milliseconds(100)
    ) -> Bool {
        basis.holds(estimate, audio: audio, offers: offers, at: .zero + .seconds(10) + after)
    }

    @Test func `nothing is decided again while nothing changes, for a second`() {
        for basis in [Self.basis(allocated: 500, wanted: 500), Self.basis(allocated: 1_500, wanted: 3_000)] {
            #expect(Self.holds(basis, Self.estimate(2_000)))
            #expect(Self.holds(basis, Self.estimate(2_000), after: .milliseconds(999)))
            #expect(!Self.holds(basis, Self.estimate(2_000), after: .seconds(1)))
            #expect(!Self.holds(basis, Self.estimate(2_000), offers: 8))
            #expect(!Self.holds(basis, Self.estimate(2_000), audio: .kbps(40)))
        }
        #expect(!Self.holds(AllocationBasis(), Self.estimate(2_000)))
    }

    @Test func `who wants more hears of each step of the estimate`() {
        let basis = Self.basis(allocated: 1_500, wanted: 3_000)
        for (kbps, holds) in [(2_009, true), (2_011, false), (1_991, true), (1_989, false), (4_000, false)] {
            #expect(Self.holds(basis, Self.estimate(Int64(kbps))) == holds, "\(kbps)")
        }
    }

    @Test func `who has all need not hear of an estimate that is well above that`() {
        let basis = Self.basis(allocated: 1_000, wanted: 1_000)
        for (kbps, holds) in [(1_501, true), (9_000, true), (1_499, false), (900, false)] {
            #expect(Self.holds(basis, Self.estimate(Int64(kbps))) == holds, "\(kbps)")
        }
    }

    @Test(arguments: [
        estimate(2_000, isCongested: true), estimate(2_000, loss: 0.04), estimate(2_000, queue: .milliseconds(80)),
    ])
    func `congestion, loss and queues are decided about at once`(estimate: BandwidthEstimate) {
        #expect(!Self.holds(Self.basis(allocated: 500, wanted: 500), estimate))
    }

    @Test func `what has just changed, or is sent on trust, is looked at again`() {
        #expect(!Self.holds(Self.basis(allocated: 500, wanted: 500, isProvisional: true), Self.estimate(2_000)))
    }
}

@Suite struct OfferWatchTests {
    private static func offers(_ kbps: [Int64], width: Int32 = 640, framesPerSecond: Float = 30) -> AllocationRequest {
        var request = AllocationRequest(id: 0)
        for (temporal, rate) in kbps.enumerated() {
            request.add(
                LayerOffer(
                    spatial: 0,
                    temporal: UInt8(temporal),
                    bitrate: .kbps(rate),
                    width: width,
                    framesPerSecond: framesPerSecond
                )
            )
        }
        return request
    }

    @Test func `offers that breathe are the same, others are not`() {
        var watch = OfferWatch()
        watch.look(at: Self.offers([300, 1_000]), wanted: nil)
        let before = watch.version
        watch.look(at: Self.offers([303, 1_019]), wanted: nil)
        #expect(watch.version == before)
        let others: [(AllocationRequest, Bitrate?)] = [
            (Self.offers([300, 1_041]), nil), (Self.offers([300]), nil), (Self.offers([300, 1_000], width: 320), nil),
            (Self.offers([300, 1_000], width: 320, framesPerSecond: 15), nil),
            (Self.offers([300, 1_000], width: 320, framesPerSecond: 15), .kbps(900)),
        ]
        for (index, (offers, wanted)) in others.enumerated() {
            let last = watch.version
            watch.look(at: offers, wanted: wanted)
            #expect(watch.version != last, "\(index)")
        }
    }

    @Test func `they drift no further than one step without being noticed`() {
        var watch = OfferWatch()
        watch.look(at: Self.offers([1_000]), wanted: nil)
        let before = watch.version
        for kbps in [Int64(1_010), 1_020, 1_030] { watch.look(at: Self.offers([kbps]), wanted: nil) }
        #expect(watch.version == before &+ 1)
    }
}

@Suite struct TimerGridTests {
    @Test func `periods keep to instants that all sessions share`() {
        for nanoseconds in [Int64(0), 1, 4_999_999, 5_000_000, 5_000_001, 12_345_678] {
            let instant = Instant(nanoseconds: nanoseconds)
            let (last, first) = (TimerGrid.last(before: instant), TimerGrid.first(after: instant))
            #expect(last <= instant && instant - last < .milliseconds(5), "\(nanoseconds)")
            #expect(first >= instant && first - instant < .milliseconds(5), "\(nanoseconds)")
            #expect(last.nanoseconds % 5_000_000 == 0 && first.nanoseconds % 5_000_000 == 0, "\(nanoseconds)")
        }
        #expect(TimerGrid.last(before: .distantFuture) == .distantFuture)
        #expect(TimerGrid.first(after: .distantFuture) == .distantFuture)
    }
}
