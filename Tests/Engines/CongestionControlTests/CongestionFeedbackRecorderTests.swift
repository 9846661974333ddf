import Basics
import CongestionControl
import RTP
import TestSupport
import Testing

@Suite struct CongestionFeedbackRecorderTests {
    private static let start = Instant.zero + .seconds(5)

    /// All that is told at `now`, report by report.
    private func collect(_ recorder: inout CongestionFeedbackRecorder, at now: Instant, room: Int = 256)
        -> [[PacketReport]]
    {
        var all: [[PacketReport]] = []
        while true {
            var reports = [PacketReport](
                repeating: PacketReport(SSRC(0), SequenceNumber(0), arrival: .none, mark: .notCapable),
                count: room
            )
            var span = reports.mutableSpan
            let count = recorder.collect(at: now, into: &span)
            guard count > 0 else { return all }
            all.append(Array(reports[..<count]))
        }
    }

    @Test func `arrivals, marks and what is missing are told by SSRC, 50 ms after the first`() {
        var recorder = CongestionFeedbackRecorder()
        #expect(recorder.nextDeadline == .distantFuture)
        let arrivals: [(ssrc: UInt32, number: UInt16, mark: ECNMark, milliseconds: Int64)] = [
            (7, 65_535, .capable1, 0), (9, 100, .notCapable, 5), (7, 1, .congestionExperienced, 10),
            (9, 101, .capable0, 20),
        ]
        for arrival in arrivals {
            recorder.received(
                SequenceNumber(arrival.number),
                of: SSRC(arrival.ssrc),
                stream: arrival.ssrc == 7 ? 0 : 3,
                mark: arrival.mark,
                at: Self.start + .milliseconds(arrival.milliseconds)
            )
        }
        let deadline = Self.start + .milliseconds(50)
        #expect(recorder.nextDeadline == deadline)
        #expect(self.collect(&recorder, at: Self.start + .milliseconds(49)).isEmpty)
        // In 1/1024 s before the deadline.
        #expect(
            self.collect(&recorder, at: deadline) == [
                [
                    PacketReport(SSRC(7), SequenceNumber(65_535), arrival: .before(51), mark: .capable1),
                    PacketReport(SSRC(7), SequenceNumber(0), arrival: .none, mark: .notCapable),
                    PacketReport(SSRC(7), SequenceNumber(1), arrival: .before(40), mark: .congestionExperienced),
                    PacketReport(SSRC(9), SequenceNumber(100), arrival: .before(46), mark: .notCapable),
                    PacketReport(SSRC(9), SequenceNumber(101), arrival: .before(30), mark: .capable0),
                ]
            ]
        )
        #expect(recorder.nextDeadline == .distantFuture)
    }

    @Test func `a late packet is told with all that came after it; one that is later is not told`() {
        var recorder = CongestionFeedbackRecorder()
        func take(_ number: UInt16, at milliseconds: Int64) {
            let now = Self.start + .milliseconds(milliseconds)
            recorder.received(SequenceNumber(number), of: SSRC(7), stream: 0, mark: .notCapable, at: now)
        }
        for number: UInt16 in [500, 501, 503] { take(number, at: 0) }
        _ = self.collect(&recorder, at: Self.start + .milliseconds(50))
        take(502, at: 60)
        take(300, at: 61)
        let told = self.collect(&recorder, at: Self.start + .milliseconds(110)).flatMap { $0 }
        #expect(told.map { $0.sequenceNumber.value } == [502, 503])
        // Who was told of as received is told of as received again (RFC 8888 §3.1).
        #expect(told.map { $0.arrival } == [.before(51), .before(112)])
        take(375, at: 200)
        #expect(self.collect(&recorder, at: Self.start + .seconds(9)).isEmpty)
    }

    @Test func `an arrival of more than 8 s ago has no time`() {
        var recorder = CongestionFeedbackRecorder()
        recorder.received(SequenceNumber(1), of: SSRC(7), stream: 0, mark: .capable1, at: Self.start)
        let told = self.collect(&recorder, at: Self.start + .seconds(9)).flatMap { $0 }
        #expect(told == [PacketReport(SSRC(7), SequenceNumber(1), arrival: .unknown, mark: .capable1)])
    }

    @Test func `many packets are told at once, and what does not fit in the next reports`() {
        var recorder = CongestionFeedbackRecorder()
        for number in 0..<300 {
            recorder.received(SequenceNumber(UInt16(number)), of: SSRC(7), stream: 0, mark: .capable1, at: Self.start)
        }
        #expect(recorder.nextDeadline == Self.start)
        let told = self.collect(&recorder, at: Self.start)
        #expect(told.map { $0.count } == [256, 44])
        #expect(told.flatMap { $0 }.map { $0.sequenceNumber.value } == Array(0..<300))
        #expect(told.flatMap { $0 }.allSatisfy { $0.arrival == .before(0) && $0.mark == .capable1 })
    }

    @Test func `a place that another SSRC takes forgets the one before`() {
        var recorder = CongestionFeedbackRecorder()
        for number: UInt16 in [10, 11] {
            recorder.received(SequenceNumber(number), of: SSRC(7), stream: 0, mark: .capable1, at: Self.start)
        }
        recorder.received(SequenceNumber(10), of: SSRC(8), stream: 0, mark: .notCapable, at: Self.start)
        let told = self.collect(&recorder, at: Self.start + .milliseconds(50)).flatMap { $0 }
        #expect(told == [PacketReport(SSRC(8), SequenceNumber(10), arrival: .before(51), mark: .notCapable)])
        recorder.received(SequenceNumber(1), of: SSRC(1), stream: 32, mark: .notCapable, at: Self.start)
        recorder.received(SequenceNumber(1), of: SSRC(1), stream: -1, mark: .notCapable, at: Self.start)
        #expect(recorder.nextDeadline == .distantFuture)
    }

    /// Whatever numbers come, one deadline leads to four full reports at most.
    @Test(arguments: [UInt64(11), 12, 13]) func `a publisher that jumps about is told a bounded amount`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var recorder = CongestionFeedbackRecorder()
        var now = Self.start
        for _ in 0..<200 {
            for _ in 0..<Int.random(in: 1...400, using: &random) {
                let stream = Int.random(in: 0..<32, using: &random)
                recorder.received(
                    SequenceNumber(UInt16.random(in: 0 ... .max, using: &random)),
                    of: SSRC(UInt32(stream) + (random.chance(0.01) ? 100 : 0)),
                    stream: stream,
                    mark: ECNMark(rawValue: UInt8.random(in: 0...3, using: &random)) ?? .notCapable,
                    at: now
                )
            }
            now = now + .milliseconds(50)
            let told = self.collect(&recorder, at: now)
            #expect(told.count <= 4 && told.allSatisfy { $0.count <= 256 }, "seed \(seed)")
            #expect(recorder.nextDeadline == .distantFuture, "seed \(seed)")
        }
    }

    /// Against a model that remembers everything.
    @Test(arguments: [UInt64(21), 22]) func `every packet that came is told of as received in the end`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var recorder = CongestionFeedbackRecorder()
        var sent: [(ssrc: UInt32, number: UInt16, at: Instant)] = []
        for index in 0..<3_000 {
            let ssrc = UInt32(index % 3)
            let jitter = Int64.random(in: 0..<8, using: &random)
            guard !random.chance(0.1) else { continue }
            sent.append(
                (
                    ssrc, UInt16(truncatingIfNeeded: 65_000 + index / 3),
                    Self.start + .milliseconds(Int64(index) + jitter)
                )
            )
        }
        sent.sort { $0.at < $1.at }
        var told: [UInt32: [UInt16: ReportedArrival]] = [:]
        for packet in sent {
            if packet.at >= recorder.nextDeadline {
                for report in self.collect(&recorder, at: packet.at).flatMap({ $0 }) {
                    let before = told[report.ssrc.value]?[report.sequenceNumber.value]
                    #expect(before == nil || before == .some(.none) || report.arrival != .none, "seed \(seed)")
                    told[report.ssrc.value, default: [:]][report.sequenceNumber.value] = report.arrival
                }
            }
            recorder.received(
                SequenceNumber(packet.number),
                of: SSRC(packet.ssrc),
                stream: Int(packet.ssrc),
                mark: .notCapable,
                at: packet.at
            )
        }
        for report in self.collect(&recorder, at: Self.start + .seconds(60)).flatMap({ $0 }) {
            told[report.ssrc.value, default: [:]][report.sequenceNumber.value] = report.arrival
        }
        let received = told.mapValues { $0.filter { $0.value != .none }.count }
        for ssrc in 0..<3 as Range<UInt32> {
            #expect(received[ssrc] == sent.count { $0.ssrc == ssrc }, "seed \(seed)")
        }
    }
}
