import Basics
import CongestionControl
import Glibc
import RTP
import TestSupport

/// LiveKit's congestion detector with transport-wide feedback (`pkg/sfu/bwe/sendsidebwe`), a model by its constants:
/// nothing is estimated and nothing paced until groups of packets say "congested"; then the acknowledged bitrate of
/// those groups is the capacity, and padding probes raise it step by step.
final class LiveKitControl: SubscriberControl {
    private struct Group {
        var firstSent: Instant
        var lastSent: Instant
        var lastArrival: Int64 = 0
        var packets = 0
        var lost = 0
        var bytes = 0
        var acknowledgedBytes = 0
        /// In milliseconds, carried from group to group.
        var queueDelay = 0.0

        var seconds: Double { max((self.lastSent - self.firstSent).inSeconds, 0.001) }
        /// More packets a second make a share of losses weigh more.
        var weightedLoss: Double {
            let rate = Double(self.packets) / self.seconds
            guard rate * self.seconds / 0.5 >= 30 else { return 0 }
            return Double(self.lost) / Double(max(self.packets, 1)) * log10(rate)
        }
    }

    private enum State {
        case none, earlyWarning, congested
    }

    private static let uncongested = Bitrate(bitsPerSecond: 100_000_000)
    private static let groupPackets = 30
    private static let groupLength = Nanoseconds.milliseconds(500)
    private static let probeInterval = 3.0
    private static let settling = Nanoseconds.milliseconds(500)

    var outgoing: [SimulatedPacket] = []
    private(set) var estimate: BandwidthEstimate
    private(set) var nextDeadline = Instant.distantFuture

    /// What was sent, by transport-wide number.
    private var sent: [(at: Instant, bytes: Int)] = Array(repeating: (.zero, 0), count: 65_536)
    private var nextSequence = SequenceNumber(65_000)
    private var groups: [Group] = []
    private var open: Group?
    private var lastPair: (sent: Instant, arrival: Int64)?
    private var queueDelay = 0.0
    private var unwrapped: Int64 = 0
    private var lastReference: Int64?
    private var state = State.none
    /// Not all that is wanted is sent.
    private var isDeficient = false
    private var allocatedRate: Int64 = 0
    private var nextRate: Int64?
    private var probeEnd: Instant?
    private var probeGoal: Int64 = 0
    private var probeFinishAt: Instant?
    private var probeWait = probeInterval
    private var probeLength = 0.2
    private var nextProbeAt = Instant.distantFuture
    private var nextPaddingAt = Instant.distantFuture

    init() {
        self.estimate = BandwidthEstimate(bitrate: Self.uncongested, pacingRate: Self.uncongested)
    }

    /// What the policy has given out, and what one more layer would need.
    func allocated(_ rate: Int64, next: Int64?) {
        self.allocatedRate = rate
        self.nextRate = next
        self.isDeficient = next != nil && self.estimate.bitrate < Self.uncongested
    }

    func setGoal(_ goal: ProbeGoal, at now: Instant) {}
    func routeChanged(at now: Instant) { self.reset() }
    func handleReceiverReport(fractionLost: Double, packetCount: Int, roundTripTime: Nanoseconds?, at now: Instant) {}

    func admit(_ packet: SimulatedPacket, at now: Instant) {
        var packet = packet
        packet.transportSequence = self.nextSequence
        self.sent[Int(self.nextSequence.value)] = (now, Int(packet.wireBytes))
        self.nextSequence = self.nextSequence.advanced(by: 1)
        self.outgoing.append(packet)
    }

    // MARK: Feedback

    func handleFeedback(_ bytes: [UInt8], at now: Instant) {
        _ = forEachRTCPPacket(in: bytes.span.bytes) { packet in
            guard let feedback = packet.transportFeedback else { return }
            // 24 bits of 64 ms.
            let reference = feedback.referenceTime.count / 64_000_000
            var step = reference - (self.lastReference ?? reference)
            if step < -(1 << 23) { step += 1 << 24 }
            if step > 1 << 23 { step -= 1 << 24 }
            self.lastReference = reference
            self.unwrapped += step * 64_000_000
            var arrival = self.unwrapped
            feedback.forEachStatus { status in
                switch status {
                case .received(let sequence, let delta):
                    arrival += delta.count
                    self.note(sequence, arrival: arrival)
                case .lost(let first, let count):
                    for offset in 0..<count { self.note(first.advanced(by: offset), arrival: nil) }
                }
            }
        }
        self.updateState(at: now)
        self.runProbes(at: now)
    }

    private func note(_ sequence: SequenceNumber, arrival: Int64?) {
        let packet = self.sent[Int(sequence.value)]
        guard packet.bytes > 0 else { return }
        if let open = self.open,
            open.packets >= Self.groupPackets || packet.at - open.firstSent >= Self.groupLength
        {
            self.groups.append(open)
            if self.groups.count > 40 { self.groups.removeFirst() }
            self.open = nil
        }
        var group = self.open ?? Group(firstSent: packet.at, lastSent: packet.at)
        group.packets += 1
        group.bytes += packet.bytes
        group.lastSent = max(group.lastSent, packet.at)
        if let arrival {
            if let last = self.lastPair {
                let change = Double(arrival - last.arrival) / 1e6 - (packet.at - last.sent).inMilliseconds
                self.queueDelay = max(0, self.queueDelay + change)
            }
            self.lastPair = (packet.at, arrival)
            group.acknowledgedBytes += packet.bytes
            group.queueDelay = self.queueDelay
        } else {
            group.lost += 1
        }
        self.open = group
    }

    /// The newest groups for which `condition` holds without a break.
    private func newest(_ condition: (Group) -> Bool) -> ArraySlice<Group> {
        let count = self.groups.reversed().prefix(while: condition).count
        return self.groups.suffix(count)
    }

    private static func isLong(_ groups: ArraySlice<Group>, count: Int, seconds: Double) -> Bool {
        guard let first = groups.first, let last = groups.last else { return false }
        return groups.count >= count && (last.lastSent - first.firstSent).inSeconds >= seconds
    }

    /// Kendall's trend of the queue delay: 1 = it only grows.
    private static func trend(_ groups: ArraySlice<Group>) -> Double {
        let values = groups.map(\.queueDelay)
        var balance = 0
        for (index, value) in values.enumerated() {
            for later in values[(index + 1)...] { balance += later > value ? 1 : later < value ? -1 : 0 }
        }
        return Double(balance) / max(Double(values.count * (values.count - 1)) / 2, 1)
    }

    private func updateState(at now: Instant) {
        let queued = self.newest { $0.queueDelay > 50 }
        let lossy = self.newest { $0.weightedLoss > 0.25 }
        let isGrowing = Self.trend(queued) > 0.8
        switch self.state {
        case .none, .earlyWarning:
            if isGrowing && Self.isLong(queued, count: 4, seconds: 0.4) {
                self.congest(queued)
            } else if Self.isLong(lossy, count: 6, seconds: 0.6) {
                self.congest(lossy)
            } else if isGrowing && Self.isLong(queued, count: 2, seconds: 0.2)
                || Self.isLong(lossy, count: 3, seconds: 0.3)
            {
                self.state = .earlyWarning
            } else {
                self.state = .none
            }
        case .congested:
            let clear = self.newest { $0.queueDelay < 20 && $0.weightedLoss < 0.1 }
            if Self.isLong(clear, count: 5, seconds: 0.5) {
                self.state = .none
                self.nextProbeAt = now + .fractionalSeconds(self.probeWait)
            } else if queued.count >= 4 || lossy.count >= 6 {
                self.lowerCapacity(queued.count >= 4 ? queued : lossy)
            }
        }
        if !self.isDeficient, self.state == .none, self.nextRate == nil { self.reset() }
    }

    private func congest(_ groups: ArraySlice<Group>) {
        self.state = .congested
        self.probeEnd = nil
        self.lowerCapacity(groups)
    }

    private func lowerCapacity(_ groups: ArraySlice<Group>) {
        guard let first = groups.first, let last = groups.last else { return }
        let seconds = max((last.lastSent - first.firstSent).inSeconds, 0.1)
        let rate = Double(groups.reduce(0) { $0 + $1.acknowledgedBytes }) * 8 / seconds
        if Int64(rate) < self.estimate.bitrate.bitsPerSecond { self.set(Int64(rate)) }
    }

    private func set(_ bitrate: Int64) {
        self.estimate.bitrate = Bitrate(bitsPerSecond: bitrate)
        self.estimate.isCongested = self.state == .congested
    }

    private func reset() {
        self.set(Self.uncongested.bitsPerSecond)
        self.probeWait = Self.probeInterval
        self.probeLength = 0.2
        self.nextProbeAt = .distantFuture
    }

    // MARK: Probes

    func advance(to now: Instant) {
        self.runProbes(at: now)
        guard let end = self.probeEnd else { return }
        if now >= end {
            self.probeEnd = nil
            self.probeFinishAt = now + Self.settling
        } else if now >= self.nextPaddingAt {
            let missing = max(self.probeGoal - self.allocatedRate, 50_000)
            let interval = 1_000_000_000 * Int64(SimulatedPacket.maximumBytes) * 8 / missing
            self.nextPaddingAt = now + Nanoseconds(interval)
            self.admit(SimulatedPacket(.padding, to: -1, wireBytes: SimulatedPacket.maximumBytes), at: now)
        }
        self.setDeadline()
    }

    private func setDeadline() {
        self.nextDeadline = min(
            self.nextProbeAt,
            self.probeFinishAt ?? .distantFuture,
            self.probeEnd.map { min($0, self.nextPaddingAt) } ?? .distantFuture
        )
    }

    private func runProbes(at now: Instant) {
        defer { self.setDeadline() }
        if let finish = self.probeFinishAt, now >= finish {
            self.probeFinishAt = nil
            let last = self.groups.suffix(2)
            let isClear = last.allSatisfy { $0.queueDelay < 20 && $0.weightedLoss < 0.1 }
            if isClear, self.state == .none {
                self.set(self.probeGoal)
                self.probeWait = Self.probeInterval
                self.probeLength = min(self.probeLength * 1.5, 20)
            } else {
                self.probeWait = min(self.probeWait * 1.5, 120)
                self.probeLength = 0.2
            }
            self.nextProbeAt = now + .fractionalSeconds(self.probeWait)
        }
        guard now >= self.nextProbeAt else { return }
        self.nextProbeAt = now + .fractionalSeconds(self.probeWait)
        guard self.isDeficient, self.state == .none, self.probeEnd == nil, self.probeFinishAt == nil,
            let next = self.nextRate
        else { return }
        let step = max((next - self.allocatedRate) * 12 / 10, 200_000)
        self.probeGoal = self.allocatedRate + step
        self.probeEnd = now + .fractionalSeconds(self.probeLength)
        self.nextPaddingAt = now
        self.nextProbeAt = .distantFuture
    }
}
