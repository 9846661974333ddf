package import Basics

/// Shares one subscriber's bandwidth among its video tracks.
///
/// Audio is charged first and never reduced. The rest goes where the picture gains most per bit (`AllocationPlanner`),
/// with hysteresis around it: down at once when the path is congested, up only when more than the next layer has been
/// proven, and slower after each fall (`TrackHistory`, `UpThreshold`). A pure function of its inputs and of what it
/// remembers per track; takes its memory when a run has more tracks than any before.
///
/// Call `allocate` when a subscription, tile, speaker or layer set changes, with every new estimate, and at
/// `nextDeadline`.
@usableFromInline package struct BandwidthAllocator: ~Copyable, Sendable {
    /// A fall shows in the estimate a round trip later; before that, the next one would only repeat it.
    private static let fallInterval = Nanoseconds.milliseconds(100)
    /// A congested estimate often comes back at once: a key frame, a pause of the radio. Not when the queue is long.
    private static let congestionGuard = Nanoseconds.milliseconds(200)
    private static let longQueue = Nanoseconds.milliseconds(60)
    /// An estimate that is up to a fifth too low without congestion may be noise.
    private static let noiseGuard = Nanoseconds.milliseconds(250)
    /// In per cent: what has nothing yet may begin under congestion where all together stays well below the estimate, which a
    /// decrease has made small already. A joiner would otherwise wait for calm that a lossy path never has.
    private static let firstLayersShare: Int64 = 70
    static let spatialSettling = Nanoseconds.milliseconds(500)
    /// A step in frame rate gains little, and with many tracks each change is seen: rather one larger step.
    static let temporalSettling = Nanoseconds.seconds(3)
    /// In per cent of what is sent: so much should be known to fit, or each key frame looks like a narrow path. Where packets
    /// are lost the estimator at times lowers its estimate by a fifth to see whether fewer are (rule L).
    static let headroom: Int64 = 115
    static let lossyHeadroom: Int64 = 135
    static let lossy = 0.03
    /// Bitrates of layers change by themselves.
    static let lookAgain = Nanoseconds.seconds(1)

    let maximumTracks: Int
    var planner = AllocationPlanner(maximumTracks: 0)
    var histories = FixedStorage(repeating: TrackHistory(), count: 0)
    var run: UInt32 = 0
    /// Audio and video of the last run.
    private var lastTotal: Int64 = 0
    private var fellAt: Instant?
    private var congestedAt: Instant?
    /// Since when the estimate has been too low, without congestion.
    private var belowSince: Instant?
    /// When to call `allocate` again although nothing else happens.
    package internal(set) var nextDeadline = Instant.distantFuture

    /// - Parameter maximumTracks: tracks beyond these get nothing; at most 1,024.
    package init(maximumTracks: Int = 64, at now: Instant) {
        self.maximumTracks = min(max(maximumTracks, 1), 1_024)
    }

    /// Forgets a track, when its subscription ends.
    package mutating func remove(id: UInt32) {
        for slot in 0..<self.histories.count where self.histories[slot].isUsed && self.histories[slot].id == id {
            self.histories[slot] = TrackHistory()
        }
    }

    /// Decides about all tracks.
    /// - Parameters:
    ///   - requests: every subscribed video track, visible or not, in any order.
    ///   - audio: what all audio to this subscriber costs.
    ///   - decisions: as many as `requests`, or more; written at the same indexes.
    package mutating func allocate(
        _ requests: Span<AllocationRequest>,
        estimate: BandwidthEstimate,
        audio: Bitrate,
        at now: Instant,
        into decisions: inout MutableSpan<AllocationDecision>
    ) -> AllocationSummary {
        let isAskedAnew = self.load(requests, at: now)
        let bandwidth = min(max(estimate.bitrate.bitsPerSecond, 0), AllocationLevels.maximumRate)
        let audio = min(max(audio.bitsPerSecond, 0), AllocationLevels.maximumRate)
        let cost = self.planner.cost(audio: audio)
        self.nextDeadline = .distantFuture
        if estimate.isCongested { self.congestedAt = now }
        let mode = self.mode(cost: cost, bandwidth: bandwidth, estimate: estimate, isAskedAnew: isAskedAnew, at: now)
        var changed = false
        if let mode {
            let rules = self.rules(mode, cost: cost, bandwidth: bandwidth, audio: audio, estimate: estimate)
            self.planner.plan(rules)
            if mode == .down { self.fellAt = now }
            changed = self.take(mode, isForced: cost > bandwidth && self.wasCongested(at: now), at: now)
        } else {
            self.keepAll()
        }
        self.lastTotal = self.planner.cost(audio: audio)
        return self.decide(
            requests.count,
            bandwidth: bandwidth,
            loss: estimate.lossFraction,
            audio: audio,
            changed: changed,
            at: now,
            into: &decisions
        )
    }

    /// What kind of plan is due; `nil` = leave all as it is.
    private mutating func mode(
        cost: Int64,
        bandwidth: Int64,
        estimate: BandwidthEstimate,
        isAskedAnew: Bool,
        at now: Instant
    ) -> AllocationRules.Mode? {
        if isAskedAnew || cost <= bandwidth { self.belowSince = nil }
        if isAskedAnew { return .anew }
        if cost <= bandwidth {
            guard estimate.isCongested else { return .up }
            return cost < bandwidth * Self.firstLayersShare / 100 ? .upFromNothing : nil
        }
        if self.wasCongested(at: now) {
            let since = self.belowSince ?? now
            self.belowSince = since
            var next = since
            if (estimate.standingQueue ?? .zero) < Self.longQueue { next = since + Self.congestionGuard }
            if let fellAt = self.fellAt {
                next = max(next, fellAt + (estimate.roundTripTime ?? .milliseconds(200)) + Self.fallInterval)
            }
            if now >= next { return .down }
            self.wake(at: next)
            return nil
        }
        // What is in use has a benefit of 5 %.
        guard cost * 95 / 100 > bandwidth else {
            self.belowSince = nil
            return nil
        }
        let since = self.belowSince ?? now
        self.belowSince = since
        if now - since >= Self.noiseGuard || cost * 80 / 100 > bandwidth {
            self.belowSince = nil
            return .down
        }
        self.wake(at: since + Self.noiseGuard)
        return nil
    }

    private func rules(
        _ mode: AllocationRules.Mode,
        cost: Int64,
        bandwidth: Int64,
        audio: Int64,
        estimate: BandwidthEstimate
    ) -> AllocationRules {
        let keep: Int64
        switch mode {
        case .down: keep = bandwidth * 95 / 100
        case .up, .upFromNothing, .anew:
            keep = estimate.isCongested ? bandwidth : max(bandwidth, min(cost, bandwidth * 100 / 95))
        }
        // A queue or loss says that even what is sent now is too much.
        let share = mode == .down ? 0 : Self.firstLayersShare
        let mayOversend =
            !estimate.isCongested && estimate.lossFraction < 0.05
            && (estimate.standingQueue ?? .zero) < .milliseconds(150)
        return AllocationRules(
            mode: mode,
            estimate: estimate.isCongested ? bandwidth * share / 100 : bandwidth,
            audio: audio,
            keep: keep,
            proven: mode == .anew ? min(bandwidth, max(cost, self.lastTotal)) : 0,
            oversend: mayOversend ? max(100_000, bandwidth * 3 / 10) : 0
        )
    }

    /// Takes the plan over, apart from rises that have to settle first. Returns whether anything changed.
    private mutating func take(_ mode: AllocationRules.Mode, isForced: Bool, at now: Instant) -> Bool {
        var changed = false
        // When one rises all do for which there is room: many small changes are seen more than a few larger ones.
        let isAnySettled = self.settle(mode, at: now)
        for index in 0..<self.planner.count {
            let track = self.planner.tracks[index]
            var history = self.histories[track.slot]
            let isRising = track.plan > track.current && (mode == .up || mode == .upFromNothing)
            if isRising, !isAnySettled, !track.isFresh, track.current >= 0 {
                self.planner.tracks[index].plan = track.current
            }
            changed = self.note(index, in: &history, mode: mode, isForced: isForced, at: now) || changed
            self.histories[track.slot] = history
        }
        return changed
    }

    /// Notes since when rises have fitted. Returns whether one of them has for long enough.
    private mutating func settle(_ mode: AllocationRules.Mode, at now: Instant) -> Bool {
        var isAnySettled = false
        for index in 0..<self.planner.count {
            let track = self.planner.tracks[index]
            guard track.plan != track.current else {
                self.histories[track.slot].settlingSince = nil
                continue
            }
            guard track.plan > track.current, mode == .up || mode == .upFromNothing else { continue }
            if track.isFresh || track.current < 0 { continue }
            let isTemporal = self.planner.level(index, track.plan).spatial == track.currentSpatial && !track.isReduced
            let since = self.histories[track.slot].settlingSince ?? now
            self.histories[track.slot].settlingSince = since
            let end = since + (isTemporal ? Self.temporalSettling : Self.spatialSettling)
            if now >= end { isAnySettled = true } else { self.wake(at: end) }
        }
        return isAnySettled
    }

    /// Writes a track's planned level into its history. Returns whether it is another.
    private mutating func note(
        _ index: Int,
        in history: inout TrackHistory,
        mode: AllocationRules.Mode,
        isForced: Bool,
        at now: Instant
    ) -> Bool {
        let track = self.planner.tracks[index]
        if track.isSilent { return false }
        if track.plan < 0 {
            let isPaused = track.count > 0
            // What was never sent was not paused: it starts as soon as there is room.
            if isPaused, history.pausedAt == nil, track.current >= 0 { history.pausedAt = now }
            if !isPaused { history.pausedAt = nil }
        } else {
            history.pausedAt = nil
        }
        var spatial: Int8 = -1
        var temporal: Int8 = -1
        var rate: Int64 = 0
        if track.plan >= 0 {
            let level = self.planner.level(index, track.plan)
            (spatial, temporal) = (Int8(truncatingIfNeeded: level.spatial), Int8(truncatingIfNeeded: level.temporal))
            rate = level.rate
        }
        self.planner.setCurrent(index, rate: rate)
        history.rate = rate
        guard spatial != history.spatial || temporal != history.temporal else { return false }
        history.choose(
            spatial: spatial,
            temporal: temporal,
            // What took the place of a level that is gone counts as in use, and may be a smaller picture.
            isDown: track.plan < track.current || spatial < history.spatial,
            isForced: isForced,
            isSteady: mode != .anew && !track.isFresh,
            at: now
        )
        return true
    }

    private mutating func keepAll() {
        for index in 0..<self.planner.count {
            self.planner.tracks[index].plan = self.planner.tracks[index].current
            self.histories[self.planner.tracks[index].slot].settlingSince = nil
        }
    }

    /// An estimate may go on falling for a while after the queue has gone.
    private func wasCongested(at now: Instant) -> Bool {
        self.congestedAt.map { now - $0 <= .seconds(1) } ?? false
    }

    mutating func wake(at instant: Instant) { self.nextDeadline = min(self.nextDeadline, instant) }
}
