import Basics
import CongestionControl

/// One track on its way to one subscriber: which layer goes out, which is wanted, and what was sent lately.
package struct ForwardedTrack {
    private static let historySize = 1_024

    package var subscription: SimulatedSubscription
    private let index: Int
    /// The spatial layer that goes out; -1 = none.
    package private(set) var current = -1
    /// Up to which temporal layer it goes out.
    var temporal = 0
    /// What was decided.
    package internal(set) var target = -1
    package internal(set) var targetTemporal = -1
    var retryAt = Microseconds.max
    var retryDelay: Microseconds = 0
    var isPaused = false
    /// When the viewer was told of a pause, or of its end.
    package internal(set) var pauses: [(time: Microseconds, isPaused: Bool)] = []
    /// Every spatial layer that went out, with its first moment.
    package private(set) var layers: [(time: Microseconds, spatial: Int)] = []
    private var sent: [SimulatedPacket] = []
    private var nextSequence: Int32 = 0
    /// Of the last pictures: which layers went out. A frame that refers to another one is a mistake of ours.
    private var forwarded: [Int: Int32] = [:]
    package private(set) var danglingCount = 0

    init(_ subscription: SimulatedSubscription, index: Int) {
        self.subscription = subscription
        self.index = index
    }

    func request(at now: Instant) -> AllocationRequest {
        var request = AllocationRequest(
            id: UInt32(self.index + 1),
            weight: self.subscription.weight,
            isScreenShare: self.subscription.isScreenShare,
            isOnStage: self.subscription.isOnStage,
            viewportWidth: self.subscription.viewportHeight * 16 / 9,
            viewportHeight: self.subscription.viewportHeight
        )
        self.subscription.publisher.offer(to: &request, at: now)
        return request
    }

    func baseRate(of spatial: Int, at now: Instant) -> Double {
        self.subscription.publisher.bitrate(spatial, temporal: 0, at: now)
    }

    // MARK: Switching

    private mutating func enter(_ spatial: Int, at now: Microseconds) {
        guard spatial != self.current else { return }
        self.current = spatial
        self.layers.append((now, spatial))
    }

    mutating func stop(at now: Microseconds) {
        self.retryAt = .max
        self.enter(-1, at: now)
    }

    /// Nothing goes out until the target's key frame.
    mutating func leave(at now: Microseconds) { self.enter(-1, at: now) }

    /// The layer needs no key frame: it is going out already, or it is part of a higher one that does.
    mutating func stay(at spatial: Int, temporal: Int, at now: Microseconds) {
        self.retryAt = .max
        self.enter(spatial, at: now)
        self.temporal = min(self.temporal, temporal)
    }

    /// Whether a frame goes out; takes note of it.
    mutating func forwards(_ frame: EncodedFrame, at now: Microseconds) -> Bool {
        let isScalable = self.subscription.publisher.isScalable
        if frame.isKey, self.target >= 0, self.target != self.current,
            isScalable ? frame.spatial == 0 : frame.spatial == self.target
        {
            self.enter(self.target, at: now)
            self.temporal = self.targetTemporal
            self.retryAt = .max
        }
        guard self.current >= 0 else { return false }
        // More frames begin with a base frame, fewer at once.
        if frame.temporal == 0, self.current == self.target { self.temporal = self.targetTemporal }
        guard isScalable ? frame.spatial <= self.current : frame.spatial == self.current,
            frame.temporal <= self.temporal
        else { return false }
        self.checkReferences(of: frame)
        return true
    }

    private mutating func checkReferences(of frame: EncodedFrame) {
        if frame.reference >= 0 && !self.wasForwarded(frame.reference, frame.spatial)
            || frame.needsLower && !self.wasForwarded(frame.picture, frame.spatial - 1)
        {
            self.danglingCount += 1
        }
        self.forwarded[Self.slot(frame.picture, frame.spatial)] = frame.picture
    }

    private static func slot(_ picture: Int32, _ spatial: Int) -> Int { Int(picture) % 16 * 4 + spatial }

    private func wasForwarded(_ picture: Int32, _ spatial: Int) -> Bool {
        self.forwarded[Self.slot(picture, spatial)] == picture
    }

    // MARK: Retransmission

    /// - Returns: the packet's number.
    mutating func keep(_ packet: SimulatedPacket) -> Int32 {
        let sequence = self.nextSequence
        self.nextSequence += 1
        var packet = packet
        packet.media.sequence = sequence
        if self.sent.count < Self.historySize {
            self.sent.append(packet)
        } else {
            self.sent[Int(sequence) % Self.historySize] = packet
        }
        return sequence
    }

    func kept(_ sequence: Int32) -> SimulatedPacket? {
        guard sequence >= 0, !self.sent.isEmpty else { return nil }
        let index = Int(sequence) % Self.historySize
        guard index < self.sent.count, self.sent[index].media.sequence == sequence else { return nil }
        return self.sent[index]
    }
}

extension MediaPart {
    init(_ frame: EncodedFrame, track: Int, part: Int, of count: Int) {
        self.init()
        self.track = Int16(track)
        self.spatial = Int8(frame.spatial)
        self.temporal = Int8(frame.temporal)
        self.isKey = frame.isKey
        self.frame = frame.picture
        self.reference = frame.reference
        self.needsLower = frame.needsLower
        self.part = UInt16(part)
        self.partCount = UInt16(count)
    }
}
