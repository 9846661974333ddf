import Basics
import MediaControl

extension MediaRouter {
    /// Makes videos smaller or leaves them out while the worker is overloaded, and takes that back.
    mutating func shedLoad(at now: Instant) {
        guard now >= self.loadShedding.nextUpdate else { return }
        let wasOn = self.loadShedding.isOn
        self.sheddingOrder = self.videosToShed()
        // A few with smaller layers save nothing: seconds would pass in vain before anything is left out.
        let canReduce = self.sheddingOrder.layered.total > self.sheddingOrder.all.total / 10
        self.loadShedding.update(canReduce: canReduce, at: now)
        guard wasOn || self.loadShedding.isOn else { return }
        var reducedCount: UInt64 = 0
        for session in unsafe Each(self.sessions) {
            guard let session = unsafe session else { continue }
            for leg in unsafe Each(session.pointee.legs) {
                unsafe self.shed(leg, at: now)
                if unsafe leg.pointee.isReduced { reducedCount += 1 }
            }
        }
        self.counters.tracksReduced = reducedCount
    }

    private func videosToShed() -> (all: SheddingOrder, layered: SheddingOrder) {
        var order = (all: SheddingOrder(), layered: SheddingOrder())
        guard self.loadShedding.mayChange else { return order }
        for session in unsafe Each(self.sessions) {
            guard let session = unsafe session, unsafe session.pointee.isConnected else { continue }
            for leg in unsafe Each(session.pointee.legs) where unsafe leg.pointee.mayBeShed {
                let weight = unsafe leg.pointee.weight
                order.all.count(weight: weight)
                if unsafe leg.pointee.hasSmallerLayers { order.layered.count(weight: weight) }
            }
        }
        return order
    }

    /// Lets one leg have its part: once an interval, and before it starts, so that nobody sees a picture for a moment.
    mutating func shed(_ leg: LegPointer, at now: Instant) {
        guard unsafe leg.pointee.kind == .video, unsafe leg.pointee.track != nil else { return }
        let mayBeShed = unsafe leg.pointee.mayBeShed
        let (weight, place) = unsafe (leg.pointee.weight, leg.pointee.sheddingPlace)
        let order = self.sheddingOrder
        let isPaused = mayBeShed && order.all.takes(share: self.loadShedding.paused, weight: weight, place: place)
        let isReduced =
            unsafe mayBeShed && leg.pointee.hasSmallerLayers
            && order.layered.takes(share: self.loadShedding.reduced, weight: weight, place: place)
        if unsafe isReduced != leg.pointee.isReduced {
            unsafe leg.pointee.isReduced = isReduced
            unsafe leg.pointee.hasReasonNews = true
            unsafe self.needsAllocation(leg.pointee.session, because: .bandwidth, at: now)
        }
        unsafe self.setPaused(isPaused, because: .overload, leg: leg, at: now)
    }
}

extension Leg {
    /// What a viewer of a reduced video gets at most, in pictures a second: a message to the kernel for each costs more than
    /// what is in it.
    static let reducedFrameRate: Float = 15

    /// It would be sent if the worker could do more, or is.
    @inline(__always) var mayBeShed: Bool {
        guard self.kind == .video, let track = unsafe self.track, unsafe !track.pointee.isMuted, !self.isOnHold else {
            return false
        }
        return self.pauses & ~(1 << PauseReason.overload.rawValue) == 0 && self.weight > 0
    }

    /// To send it smaller would change something.
    @inline(__always) var hasSmallerLayers: Bool {
        guard let track = unsafe self.track else { return false }
        let hasSmaller = unsafe track.pointee.layerCount > 1 || track.pointee.layers.pointee.rates.topSpatial > 0
        return hasSmaller && self.largestRank > 0 || self.offeredTemporal.max() > 0
    }

    /// From 0 to 1. By what stays the same when another track is bound: who asks anew gets no other place.
    @inline(__always) var sheddingPlace: Double { Double(self.ssrc.value) / Double(UInt32.max) }
}
