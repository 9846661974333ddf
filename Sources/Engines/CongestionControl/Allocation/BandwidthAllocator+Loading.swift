import Basics

extension BandwidthAllocator {
    /// Fills the planner's table. Returns whether something was asked for anew, so that hysteresis does not apply.
    mutating func load(_ requests: Span<AllocationRequest>, at now: Instant) -> Bool {
        self.planner.removeAll()
        let count = min(requests.count, self.maximumTracks)
        if count > self.histories.count { self.makeRoom(for: count) }
        self.run &+= 1
        // First mark those that are still there: the others may have to give up their places.
        var isAskedAnew = self.markKnown(requests, count: count)
        for index in 0..<count {
            let slot = self.slot(of: requests[index].id, at: now)
            isAskedAnew = self.load(requests, index, slot: slot, at: now) || isAskedAnew
        }
        return isAskedAnew
    }

    /// Larger tables, with what is remembered. Each track takes 0.7 KiB, and most subscribers have few.
    private mutating func makeRoom(for count: Int) {
        var capacity = 4
        while capacity < count { capacity *= 2 }
        capacity = min(capacity, self.maximumTracks)
        var larger = FixedStorage(repeating: TrackHistory(), count: capacity)
        for slot in 0..<self.histories.count { larger[slot] = self.histories[slot] }
        self.histories = larger
        self.planner = AllocationPlanner(maximumTracks: capacity)
    }

    /// Returns whether a track that had a layer is no longer asked for.
    private mutating func markKnown(_ requests: Span<AllocationRequest>, count: Int) -> Bool {
        for index in 0..<count {
            if let slot = self.find(requests[index].id) { self.histories[slot].run = self.run }
        }
        var isAnyGone = false
        for slot in 0..<self.histories.count
        where self.histories[slot].isUsed && self.histories[slot].run != self.run && self.histories[slot].spatial >= 0 {
            self.histories[slot].spatial = -1
            self.histories[slot].temporal = -1
            self.histories[slot].isVisible = false
            isAnyGone = true
        }
        return isAnyGone
    }

    private func find(_ id: UInt32) -> Int? {
        for slot in 0..<self.histories.count where self.histories[slot].isUsed && self.histories[slot].id == id {
            return slot
        }
        return nil
    }

    private mutating func slot(of id: UInt32, at now: Instant) -> Int {
        if let slot = self.find(id) { return slot }
        // There are as many places as tracks in a run, so one is free or belongs to a track that is gone.
        var chosen = 0
        for slot in 0..<self.histories.count where self.histories[slot].run != self.run || !self.histories[slot].isUsed
        {
            chosen = slot
            if !self.histories[slot].isUsed { break }
        }
        self.histories[chosen] = TrackHistory(id: id, at: now)
        self.histories[chosen].run = self.run
        return chosen
    }

    private mutating func load(
        _ requests: Span<AllocationRequest>,
        _ index: Int,
        slot: Int,
        at now: Instant
    ) -> Bool {
        var history = self.histories[slot]
        var isAskedAnew = false
        let signature = Self.signature(of: requests, index)
        if signature != history.signature {
            history.signature = signature
            isAskedAnew = true
        }
        let isVisible = requests[index].weight > 0
        if isVisible, !history.isVisible {
            history.visibleSince = now
            history.pausedAt = nil
        }
        history.isVisible = isVisible
        let layers = Self.spatialLayers(of: requests, index)
        var track = AllocationTrack()
        track.isSilent = history.isSilent(layers: layers, at: now)
        if !track.isSilent, history.noteOffered(layers, at: now) { isAskedAnew = true }
        track.id = requests[index].id
        track.slot = slot
        track.weight = requests[index].weight
        track.isOnStage = requests[index].isOnStage && isVisible && requests[index].offerCount > 0
        track.isFresh = history.isFresh(at: now)
        let isReducedTooLong = !track.isSilent && history.endReduction(at: now)
        let isHeld = history.isHeld(at: now) || (!track.isFresh && history.isPauseHeld(at: now))
        // The others may have grown into its share meanwhile.
        if history.wasHeld && !isHeld || history.wasDoubted && !history.isDoubted(at: now) { isAskedAnew = true }
        history.wasHeld = isHeld
        history.wasDoubted = history.isDoubted(at: now)
        track.isHeld = isHeld
        track.isDoubted = history.wasDoubted
        track.isCautious = now < history.cautiousUntil
        track.isPaused = history.pausedAt != nil && !track.isFresh
        for layer in 0..<8 as Range<UInt8> where history.isProven(layer, at: now) { track.proven |= 1 << layer }
        let isGone = self.planner.append(
            track,
            requests: requests,
            kept: KeptLevel(
                spatial: track.isSilent ? -1 : history.spatial,
                temporal: history.temporal,
                mayReduce: !isReducedTooLong
            )
        )
        history.setReduced(self.planner.tracks[index].isReduced, at: now)
        if track.isSilent { self.planner.reserve(history.rate) }
        self.histories[slot] = history
        return isAskedAnew || isGone
    }

    private static func spatialLayers(of requests: Span<AllocationRequest>, _ row: Int) -> UInt8 {
        var layers: UInt8 = 0
        for index in 0..<min(max(requests[row].offerCount, 0), AllocationRequest.maximumOfferCount) {
            layers |= 1 << min(requests[row].offers[index].spatial, 7)
        }
        return layers
    }

    /// All of a request but its offers.
    private static func signature(of requests: Span<AllocationRequest>, _ row: Int) -> UInt64 {
        var flags: UInt64 = requests[row].isScreenShare ? 1 : 0
        if requests[row].isOnStage { flags |= 2 }
        var hash = Self.mix(0xCBF2_9CE4_8422_2325, UInt64(requests[row].weight.bitPattern))
        hash = Self.mix(hash, UInt64(UInt32(bitPattern: requests[row].viewportWidth)))
        hash = Self.mix(hash, UInt64(UInt32(bitPattern: requests[row].viewportHeight)))
        hash = Self.mix(hash, UInt64(requests[row].maximumSpatial) << 8 | UInt64(requests[row].maximumTemporal))
        return Self.mix(hash, flags)
    }

    private static func mix(_ hash: UInt64, _ part: UInt64) -> UInt64 {
        let mixed = (hash ^ part) &* 0x9E37_79B9_7F4A_7C15
        return mixed ^ mixed >> 29
    }
}
