import Basics
import Forwarding
import TestSupport
import Testing

@Suite("Sender reports in the rewritten time line")
struct SenderReportClockTests {
    private static func milliseconds(_ count: Int64) -> Instant { Instant(nanoseconds: count * 1_000_000) }
    private static let publisherStart = NTPTime(unixNanoseconds: 1_700_000_000_000_000_000)

    @Test("a timestamp of one layer is found in another by both layers' reports, over the wrap of 2^32")
    func translate() {
        var low = SenderReportClock(clockRate: 90_000)
        var high = SenderReportClock(clockRate: 90_000)
        #expect(low.translate(1, to: high) == nil)
        low.senderReport(ntp: Self.publisherStart, rtp: 4_294_967_000)
        #expect(low.translate(1, to: high) == nil)
        high.senderReport(ntp: Self.publisherStart.advanced(by: .milliseconds(500)), rtp: 1_000)
        // 500 ms after low's report, high's clock shows 1,000.
        #expect(low.translate(4_294_967_000 &+ 45_000, to: high) == 1_000)
        #expect(high.translate(1_000, to: low) == 4_294_967_000 &+ 45_000)
        #expect(low.translate(1, to: SenderReportClock(clockRate: 48_000)) == nil)
    }

    @Test("a report without a clock is not one")
    func zeroNTP() {
        var clock = SenderReportClock(clockRate: 90_000)
        clock.senderReport(ntp: NTPTime(rawValue: 0), rtp: 5)
        #expect(clock.translate(5, to: clock) == nil)
        var publisher = PublisherClock()
        publisher.senderReport(ntp: NTPTime(rawValue: 0), at: .zero)
        #expect(!publisher.isKnown)
    }

    @Test("before the first report it goes by the packet with the shortest way")
    func byArrival() {
        var clock = SenderReportClock(clockRate: 90_000)
        let publisher = PublisherClock()
        #expect(clock.timestamp(at: .zero, publisher: publisher) == nil)
        clock.packet(timestamp: 0, at: Self.milliseconds(30))
        clock.packet(timestamp: 9_000, at: Self.milliseconds(110))
        clock.packet(timestamp: 18_000, at: Self.milliseconds(260))
        #expect(clock.timestamp(at: Self.milliseconds(310), publisher: publisher) == 27_000)
    }

    /// Audio and video that were captured together stay together, however the reports were delayed on their way.
    @Test("lip-sync: both streams' reports name the same capture time, with jittered reports and drifting clocks")
    func lipSync() throws {
        var random = SeededRandom(seed: 6)
        var publisher = PublisherClock()
        var audio = SenderReportClock(clockRate: 48_000)
        var video = SenderReportClock(clockRate: 90_000)
        let wall = NTPAnchor(NTPTime(unixNanoseconds: 1_800_000_000_000_000_000), at: .zero)
        var worst = 0.0
        for second in 0..<3_600 as Range<Int64> {
            // The publisher's clock runs 50 ppm fast.
            let captured = Double(second) * 1.000_05
            let ntp = Self.publisherStart.advanced(by: .fractionalSeconds(captured))
            for isAudio in [true, false] {
                let delay = Int64.random(in: 20_000_000...120_000_000, using: &random)
                let arrival = Instant(nanoseconds: second * 1_000_000_000 + delay)
                publisher.senderReport(ntp: ntp, at: arrival)
                if isAudio {
                    audio.senderReport(ntp: ntp, rtp: UInt32(truncatingIfNeeded: Int64(captured * 48_000)))
                } else {
                    video.senderReport(ntp: ntp, rtp: UInt32(truncatingIfNeeded: Int64(captured * 90_000)))
                }
            }
            let now = Instant(nanoseconds: second * 1_000_000_000 + 500_000_000)
            let audioTimes = try #require(
                audio.legTimes(at: now, wallClock: wall, publisher: publisher, timestampOffset: 7)
            )
            let videoTimes = try #require(
                video.legTimes(at: now, wallClock: wall, publisher: publisher, timestampOffset: 11)
            )
            guard audioTimes.ntp == videoTimes.ntp else {
                Issue.record("two times for one moment")
                return
            }
            let audioCapture = Double(audioTimes.rtpTimestamp &- 7) / 48_000
            let videoCapture = Double(videoTimes.rtpTimestamp &- 11) / 90_000
            worst = max(worst, abs(audioCapture - videoCapture))
            // It also stays near the truth: capture time + the way here.
            #expect(abs(audioCapture - captured - 0.5) < 0.2)
        }
        #expect(worst < 0.000_1)
    }

    @Test("a publisher's clock that is set anew is taken over at once")
    func clockStep() throws {
        var publisher = PublisherClock()
        publisher.senderReport(ntp: Self.publisherStart, at: .zero)
        let later = Self.publisherStart.advanced(by: .seconds(3_600))
        publisher.senderReport(ntp: later, at: Self.milliseconds(1_000))
        let now = try #require(publisher.ntp(at: Self.milliseconds(2_000)))
        #expect(abs(now.seconds(since: later) - 1) < 1e-6)
    }

    @Test("made-up reports never stop it")
    func randomReports() {
        var random = SeededRandom(seed: 13)
        var publisher = PublisherClock()
        var first = SenderReportClock(clockRate: .max)
        var second = SenderReportClock(clockRate: .max)
        var translated = 0
        for step in 0..<20_000 as Range<Int64> {
            let ntp = NTPTime(rawValue: random.next())
            let rtp = UInt32(truncatingIfNeeded: random.next())
            publisher.senderReport(ntp: ntp, at: Self.milliseconds(step))
            first.senderReport(ntp: ntp, rtp: rtp)
            second.senderReport(ntp: NTPTime(rawValue: random.next()), rtp: rtp)
            if first.translate(rtp, to: second) != nil { translated += 1 }
            _ = first.timestamp(at: Self.milliseconds(step + 5), publisher: publisher)
        }
        #expect(translated == 20_000)
    }
}
