import Basics

/// Finds the set of layers with the best picture for a budget: base layers first, then what is on stage, then whatever
/// gains most per bit.
///
/// Each step takes the best gain per bit that still fits. With that order more budget never gives less utility, which
/// "best set" searches do not promise. The result depends on the tracks, not on their order.
struct AllocationPlanner: ~Copyable, Sendable {
    /// A level in use counts so much more: what there is needs no key frame.
    private static let keepBonus: Float = 1.05

    var tracks: FixedStorage<AllocationTrack>
    private var levels: AllocationLevels
    /// Gain per bit of each track's candidate; negative = none.
    private var gains: FixedStorage<Float>
    /// Tracks in the order in which they get their base layer.
    private var order: FixedStorage<Int>
    private(set) var count = 0
    /// For tracks that are silent at the moment.
    private var reserved: Int64 = 0
    /// Of the plan, audio included.
    private(set) var total: Int64 = 0
    /// What the plan may come to after the rises that were taken: what is kept later must not eat up their proof.
    private var ceiling = Int64.max
    /// The track that is sent although it does not fit; -1 = none.
    private(set) var oversent = -1
    /// Something on stage is not served: nobody else rises.
    private(set) var isStageUnserved = false

    init(maximumTracks: Int) {
        self.tracks = FixedStorage(repeating: AllocationTrack(), count: maximumTracks)
        self.levels = AllocationLevels(maximumTracks: maximumTracks)
        self.gains = FixedStorage(repeating: -1, count: maximumTracks)
        self.order = FixedStorage(repeating: 0, count: maximumTracks)
    }

    func level(_ track: Int, _ index: Int) -> AllocationLevel { self.levels[track, index] }

    // MARK: Loading

    mutating func removeAll() {
        self.count = 0
        self.reserved = 0
    }

    mutating func reserve(_ rate: Int64) { self.reserved += rate }

    /// Adds the track of the next request.
    /// - Returns: whether the level that it has been given is gone.
    mutating func append(
        _ track: AllocationTrack,
        requests: Span<AllocationRequest>,
        kept: KeptLevel
    ) -> Bool {
        let index = self.count
        let (spatial, temporal) = (kept.spatial, kept.temporal)
        let summary = self.levels.fill(track: index, from: requests, row: index, kept: kept)
        var track = track
        var isGone = false
        track.count = summary.count
        track.isLimitedByRequest = summary.isLimitedByRequest
        track.isLimitedByTile = summary.isLimitedByTile
        if spatial >= 0 {
            let exact = self.levels.index(track: index, count: summary.count, spatial: spatial, temporal: temporal)
            isGone = exact == nil
            track.current = exact ?? self.nearest(index, count: summary.count, spatial: spatial, temporal: temporal)
        }
        if track.current >= 0 {
            let level = self.level(index, track.current)
            track.currentRate = level.rate
            track.currentSpatial = level.spatial
            track.isReduced = level.isReduced
        }
        if track.isOnStage { track.preferred = self.preferred(index, count: summary.count) }
        self.tracks[index] = track
        self.count += 1
        return isGone
    }

    /// The level in use is gone: the best that is not above it, so that what takes its place counts as in use.
    private func nearest(_ index: Int, count: Int, spatial: Int8, temporal: Int8) -> Int {
        var nearest = -1
        for candidate in 0..<count {
            let level = self.level(index, candidate)
            let isSame = level.spatial == UInt8(bitPattern: spatial) && level.temporal <= UInt8(bitPattern: temporal)
            if isSame || level.spatial < UInt8(bitPattern: spatial) { nearest = candidate }
        }
        return nearest
    }

    /// On stage, good is 360p with full motion, or all that the tile shows.
    private func preferred(_ index: Int, count: Int) -> Int {
        guard count > 0 else { return 0 }
        let enough = min(self.level(index, count - 1).pixels, 640 * 360)
        for candidate in 0..<count {
            let level = self.level(index, candidate)
            if level.pixels >= enough, level.framesPerSecond >= 24 { return candidate }
        }
        return count - 1
    }

    /// What is in use now costs so much, audio included.
    func cost(audio: Int64) -> Int64 {
        var cost = audio + self.reserved
        for index in 0..<self.count { cost += self.tracks[index].currentRate }
        return cost
    }

    /// The plan of a track was taken over.
    mutating func setCurrent(_ index: Int, rate: Int64) {
        self.tracks[index].current = self.tracks[index].plan
        self.tracks[index].currentRate = rate
        if self.tracks[index].plan >= 0 {
            self.tracks[index].currentSpatial = self.level(index, self.tracks[index].plan).spatial
        }
    }

    // MARK: Planning

    mutating func plan(_ rules: AllocationRules) {
        self.total = rules.audio + self.reserved
        self.ceiling = .max
        self.oversent = -1
        self.isStageUnserved = false
        for index in 0..<self.count {
            let keepsCurrent = rules.mode == .up || rules.mode == .upFromNothing
            let start = keepsCurrent ? self.tracks[index].current : -1
            self.tracks[index].plan = start
            if start >= 0 { self.total += self.level(index, start).rate }
        }
        self.planBase(rules)
        for index in 0..<self.count { self.gains[index] = -1 }
        for index in 0..<self.count where self.tracks[index].isOnStage { self.findCandidate(index, rules) }
        self.climb(rules, onStage: true)
        for index in 0..<self.count where self.tracks[index].isOnStage {
            if self.tracks[index].plan < self.tracks[index].preferred { self.isStageUnserved = true }
        }
        guard !self.isStageUnserved else { return }
        for index in 0..<self.count { self.findCandidate(index, rules) }
        self.climb(rules, onStage: false)
    }

    private mutating func planBase(_ rules: AllocationRules) {
        self.sortBaseOrder()
        for position in 0..<self.count {
            let index = self.order[position]
            guard self.tracks[index].plan < 0, self.tracks[index].count > 0 else { continue }
            if rules.mode == .down, self.tracks[index].current < 0 { continue }
            let base = self.level(index, 0)
            if !self.fits(self.total + base.rate, index, level: 0, base, rules) {
                let excess = self.total + base.rate - rules.estimate
                let isAlone = self.total == rules.audio + self.reserved && self.tracks[index].isOnStage
                guard isAlone, rules.audio <= rules.estimate, excess <= rules.oversend else { continue }
                self.oversent = index
            }
            self.raise(index, to: 0, base, rules)
        }
    }

    /// Stage first, then weight; among equals the cheap ones, since more of them fit.
    private mutating func sortBaseOrder() {
        for index in 0..<self.count {
            var position = index
            while position > 0, self.isServedBefore(index, self.order[position - 1]) {
                self.order[position] = self.order[position - 1]
                position -= 1
            }
            self.order[position] = index
        }
    }

    private func isServedBefore(_ lhs: Int, _ rhs: Int) -> Bool {
        let (left, right) = (self.tracks[lhs], self.tracks[rhs])
        if left.isOnStage != right.isOnStage { return left.isOnStage }
        if left.weight != right.weight { return left.weight > right.weight }
        let (leftRate, rightRate) = (self.level(lhs, 0).rate, self.level(rhs, 0).rate)
        if leftRate != rightRate { return leftRate < rightRate }
        return left.id < right.id
    }

    /// Takes steps until none fits.
    /// - Parameter onStage: only until everything on stage has its preferred level.
    private mutating func climb(_ rules: AllocationRules, onStage: Bool) {
        while true {
            var best = -1
            var bestGain: Float = 0
            for index in 0..<self.count {
                let gain = self.gains[index]
                guard gain > bestGain || (gain == bestGain && gain > 0 && self.isTieBefore(index, best)) else {
                    continue
                }
                if onStage, self.tracks[index].plan >= self.tracks[index].preferred { continue }
                best = index
                bestGain = gain
            }
            guard best >= 0 else { return }
            let candidate = self.tracks[best].candidate
            let level = self.level(best, candidate)
            // The total has grown since this candidate was found.
            if self.fits(self.total + level.rate - self.planRate(best), best, level: candidate, level, rules) {
                self.raise(best, to: candidate, level, rules)
            }
            self.findCandidate(best, rules)
        }
    }

    private func isTieBefore(_ lhs: Int, _ rhs: Int) -> Bool { rhs < 0 || self.tracks[lhs].id < self.tracks[rhs].id }

    private func fits(
        _ total: Int64,
        _ index: Int,
        level number: Int,
        _ level: AllocationLevel,
        _ rules: AllocationRules
    ) -> Bool {
        total <= self.ceiling && total <= rules.limit(self.tracks[index], level: number, level)
    }

    private mutating func raise(_ index: Int, to number: Int, _ level: AllocationLevel, _ rules: AllocationRules) {
        self.total += level.rate - self.planRate(index)
        self.tracks[index].plan = number
        if number > self.tracks[index].current, index != self.oversent {
            self.ceiling = min(self.ceiling, rules.limit(self.tracks[index], level: number, level))
        }
    }

    private func planRate(_ index: Int) -> Int64 {
        let plan = self.tracks[index].plan
        return plan >= 0 ? self.level(index, plan).rate : 0
    }

    /// The level with the best gain per bit that fits.
    private mutating func findCandidate(_ index: Int, _ rules: AllocationRules) {
        let track = self.tracks[index]
        self.gains[index] = -1
        // Without its base layer it is paused.
        guard track.plan >= 0 else { return }
        let from = self.level(index, track.plan)
        let top = rules.mode == .down ? track.current : track.count - 1
        guard track.plan < top else { return }
        for candidate in (track.plan + 1)...top {
            let level = self.level(index, candidate)
            let gain = level.utility - from.utility
            let cost = level.rate - from.rate
            guard gain > 0 else { continue }
            if candidate > track.current, track.proven & 1 << (level.spatial & 7) == 0 { continue }
            guard self.fits(self.total + cost, index, level: candidate, level, rules) else { continue }
            let bonus = candidate <= track.current ? Self.keepBonus : 1
            let perBit = bonus * gain / Float(max(cost, 1))
            guard perBit > self.gains[index] else { continue }
            self.gains[index] = perBit
            self.tracks[index].candidate = candidate
        }
    }
}
