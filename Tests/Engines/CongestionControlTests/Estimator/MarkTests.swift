import Basics
import RTP
import TestSupport
import Testing

@testable import CongestionControl

@Suite struct MarkTests {
    private static let roundTrip = Nanoseconds.milliseconds(50)

    private static func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    @Test("without marks nothing is asked for, and the path is known to take part")
    func noMarks() {
        var response = MarkResponse()
        #expect(!response.isCapable)
        for round in 0..<20 {
            for _ in 0..<10 { response.received(isMarked: false) }
            let factor = response.endFeedback(roundTripTime: Self.roundTrip, at: Self.at(Int64(round) * 50))
            #expect(factor == nil)
        }
        #expect(response.isCapable)
    }

    @Test("the rate falls by half of the smoothed share of marks, once in a round trip")
    func share() {
        var response = MarkResponse()
        var factors: [Double] = []
        for round in 0..<200 {
            for packet in 0..<10 { response.received(isMarked: packet < 2) }
            if let factor = response.endFeedback(roundTripTime: .milliseconds(100), at: Self.at(Int64(round) * 50)) {
                factors.append(factor)
            }
        }
        #expect(factors.count == 99)
        // 1/8 of a fifth, by half; in the end a fifth, by half.
        #expect(abs((factors.first ?? 0) - (1 - 0.2 / 16)) < 1e-9)
        #expect(abs((factors.last ?? 0) - 0.9) < 1e-3)
    }

    @Test("times of reports go on when the timestamp wraps, and stay small whatever a peer says")
    func clock() {
        var clock = ReportClock()
        clock.unwrap(0xFFFF_0000)
        let before = clock.microseconds(before: 0)
        clock.unwrap(0x0001_0000)
        #expect(clock.microseconds(before: 0) - before == 2_000_000)
        #expect(clock.microseconds(before: 512) - before == 1_500_000)
        for _ in 0..<300_000 { clock.unwrap(UInt32(truncatingIfNeeded: clock.microseconds(before: 0)) &+ 0x7FFF_FFFF) }
        #expect(abs(clock.microseconds(before: 0)) < 1 << 54)
    }

    @Test("times of transport-wide feedback go on when they wrap, and stay small whatever a peer says")
    func arrivalClock() {
        var clock = ArrivalClock()
        func reference(_ ticks: Int32) -> Nanoseconds { Nanoseconds(Int64(ticks) * 64_000_000) }
        let before = clock.unwrap(reference(0x7F_FFFF))
        #expect(clock.unwrap(reference(-0x80_0000)) - before == 64_000)
        for direction in [Int32(1), -1] {
            var ticks: Int32 = 0
            var furthest: UInt64 = 0
            for _ in 0..<100_000 {
                ticks = ((ticks &+ direction &* 0x7F_FFFF) << 8) >> 8
                furthest = max(furthest, clock.unwrap(reference(ticks)).magnitude)
            }
            #expect(furthest <= 1 << 52)
            #expect(furthest > 1 << 51, "it came as far as it may")
        }
    }

    @Test("a queue beyond all measure, by a receiver's clock that was set, is told as an hour at most")
    func queueBeyondMeasure() {
        for delay in [Int64.max - 700_000, .max / 2, 1 << 52] as [Int64] {
            let configuration = EstimatorConfiguration(start: .kbps(1_000))
            var core = EstimatorCore(configuration, start: configuration.start, at: .zero)
            core.queue.add(send: 0, arrival: -1_000_000, byteCount: 1_200)
            core.queue.add(send: 300_000, arrival: delay, byteCount: 1_200)
            #expect(core.snapshot(at: Self.at(400)).standingQueue == .seconds(3_600))
        }
    }

    /// Sends 100 packets of 1,200 bytes each 5 ms and reports on them after 50 ms.
    private static func estimate(marks: (Int) -> ECNMark, rules: EstimatorRules = .sluice) -> BandwidthEstimate {
        let configuration = EstimatorConfiguration(start: .kbps(1_920), rules: rules)
        var estimator = BandwidthEstimator(configuration: configuration, at: .zero)
        var reports: [PacketReport] = []
        for packet in 0..<600 {
            let now = Self.at(Int64(packet) * 5)
            let number = estimator.sent(byteCount: 1_172, probe: 0, isPadding: false, at: now)
            // They arrive at once; the report counts back from its own time in 1/1024 s.
            let age = UInt16((9 - packet % 10) * 5 * 1_024 / 1_000)
            reports.append(PacketReport(SSRC(5), number, arrival: .before(age), mark: marks(packet)))
            guard packet % 10 == 9 else { continue }
            var memory = [UInt8](repeating: 0, count: 200)
            var length = 0
            do {
                var span = memory.mutableSpan
                var writer = RTCPWriter(span.mutableBytes)
                let stamp = UInt32(truncatingIfNeeded: now.nanoseconds / 1_000 * 1_024 / 15_625)
                _ = writer.appendCongestionControlFeedback(from: SSRC(1), about: reports.span, timestamp: stamp)
                length = writer.count
            }
            reports.removeAll()
            _ = forEachRTCPPacket(in: memory.span.bytes.extracting(0..<length)) { packet in
                guard let feedback = packet.congestionControlFeedback else { return }
                estimator.handle(feedback, at: now) { ssrc, number in ssrc == SSRC(5) ? number : nil }
            }
        }
        return estimator.estimate
    }

    @Test("reports with marks lower the estimate, and without rule M they do not")
    func estimator() {
        let free = Self.estimate { _ in .capable1 }
        let marked = Self.estimate { _ in .congestionExperienced }
        let ignored = Self.estimate(marks: { _ in .congestionExperienced }, rules: .sluice.subtracting(.marks))
        #expect(free.source == .transportFeedback)
        #expect((free.acknowledged ?? .zero) > .kbps(1_800))
        #expect(free.bitrate >= .kbps(1_920))
        #expect(marked.bitrate < .kbps(960))
        #expect(ignored.bitrate == free.bitrate)
        #expect(free.spacing == .smooth)
        #expect(ignored.spacing != .smooth)
        #expect(Self.estimate { _ in .notCapable }.spacing != .smooth)
    }
}
