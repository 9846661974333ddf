import Basics
import CongestionControl
import RTP
import Testing

/// A link with one queue and a receiver that answers each 50 ms with real transport-wide feedback: enough to drive an
/// estimator in a test. Whole scenarios are run by the simulation.
struct FeedbackPath: ~Copyable {
    var estimator: BandwidthEstimator
    /// bit/s; 0 = nothing passes.
    var capacity: Double
    var delay = Nanoseconds.milliseconds(25)
    /// What is sent leaves in one burst each so often.
    var framesApart = Nanoseconds.milliseconds(5)
    /// What is sent from then on for 10 ms arrives so much later, and no later packet before it.
    var late: (from: Instant, by: Nanoseconds)?
    /// Every n-th packet is lost; 0 = none.
    var lostEach = 0
    /// Whether the small clusters are sent by which an estimator asks whether anybody is there, and how many there were.
    var answersQuestions = true
    private(set) var questions = 0
    private(set) var now = Instant.zero
    private var linkFreeAt = Instant.zero
    private var arrivals: [PacketArrival] = []
    private var feedbackAt = Instant(nanoseconds: 50_000_000)
    private var builder = TransportFeedbackBuilder(senderSSRC: SSRC(1), mediaSSRC: SSRC(2))
    private var count = 0
    private var debt = 0.0
    private var nextFrame = Instant.zero
    private var lastArrival = Instant.zero
    /// bit/s: the least that it was since `resetLowest`.
    private(set) var lowest = Double.infinity

    init(_ configuration: EstimatorConfiguration, capacity: Double) {
        self.estimator = BandwidthEstimator(configuration: configuration, at: .zero)
        self.capacity = capacity
    }

    /// Sends packets of 1,172 bytes and headers at the estimate, or at `rate`.
    mutating func run(_ seconds: Double, rate: Double? = nil, feedback: Bool = true) {
        let end = self.now + Nanoseconds.fractionalSeconds(seconds)
        while self.now < end {
            self.now = self.now + .milliseconds(5)
            let target = rate ?? Double(self.estimator.estimate.bitrate.bitsPerSecond)
            self.debt += target * 0.005
            if self.now >= self.nextFrame {
                self.nextFrame = self.now + self.framesApart
                while self.debt >= 9_600 {
                    self.debt -= 9_600
                    self.send()
                }
            }
            self.lowest = min(self.lowest, Double(self.estimator.estimate.bitrate.bitsPerSecond))
            if self.now >= self.feedbackAt {
                self.feedbackAt = self.feedbackAt + .milliseconds(50)
                if feedback { self.answer() } else { self.arrivals.removeAll() }
            }
            if self.now >= self.estimator.nextDeadline { self.estimator.advance(to: self.now) }
            while let probe = self.estimator.nextProbe(at: self.now) { self.ask(probe) }
        }
    }

    mutating func resetLowest() { self.lowest = .infinity }

    /// Of probes only the smallest are sent: whoever drives this path wants to say what it carries.
    private mutating func ask(_ probe: ProbeCluster) {
        guard probe.minimumBytes == 1 else { return }
        self.questions += 1
        guard self.answersQuestions else { return }
        for _ in 0..<probe.minimumPackets { self.send(probe: probe.id) }
    }

    private mutating func send(probe: UInt16 = 0) {
        let number = self.estimator.sent(byteCount: 1_172, probe: probe, isPadding: probe != 0, at: self.now)
        self.count += 1
        guard self.capacity > 0, self.lostEach == 0 || self.count % self.lostEach != 0 else { return }
        self.linkFreeAt = max(self.linkFreeAt, self.now) + Nanoseconds.fractionalSeconds(9_600 / self.capacity)
        var arrival = self.linkFreeAt + self.delay
        if let late, self.now >= late.from, self.now < late.from + .milliseconds(10) { arrival = arrival + late.by }
        arrival = max(arrival, self.lastArrival)
        self.lastArrival = arrival
        self.arrivals.append(PacketArrival(number, microseconds: arrival.nanoseconds / 1_000 + 1_000_000_000))
    }

    private mutating func answer() {
        let clock = self.now.nanoseconds / 1_000 + 1_000_000_000 - self.delay.count / 1_000
        let ready = self.arrivals.prefix { ($0.microseconds ?? 0) <= clock }
        guard !ready.isEmpty else { return }
        let taken = Array(ready)
        self.arrivals.removeFirst(taken.count)
        var memory = [UInt8](repeating: 0, count: 4_096)
        var span = memory.mutableSpan
        var writer = RTCPWriter(span.mutableBytes)
        _ = self.builder.append(taken.span, to: &writer)
        let length = writer.count
        let now = self.now
        _ = forEachRTCPPacket(in: memory.span.bytes.extracting(0..<length)) { packet in
            if let feedback = packet.transportFeedback { self.estimator.handle(feedback, at: now) }
        }
    }
}
