import Basics
import MediaControl

extension MediaRouter {
    /// Makes videos smaller or leaves them out while the worker is overloaded, and takes that back.
    mutating func shedLoad(at now: Instant) {
        guard now >= self.loadShedding.nextUpdate else { return }
        let wasOn = self.loadShedding.isOn
        let order = self.videosToShed()
        self.loadShedding.update(canReduce: order.layered.total > 0, at: now)
        guard wasOn || self.loadShedding.isOn else { return }
        for session in unsafe Each(self.sessions) {
            guard let session = unsafe session else { continue }
            for leg in unsafe Each(session.pointee.legs) { unsafe self.shed(leg, order: order, at: now) }
        }
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

    private mutating func shed(
        _ leg: LegPointer,
        order: (all: SheddingOrder, layered: SheddingOrder),
        at now: Instant
    ) {
        guard unsafe leg.pointee.kind == .video, unsafe leg.pointee.track != nil else { return }
        let mayBeShed = unsafe leg.pointee.mayBeShed
        let (weight, place) = unsafe (leg.pointee.weight, leg.pointee.sheddingPlace)
        let isPaused = mayBeShed && order.all.takes(share: self.loadShedding.paused, weight: weight, place: place)
        unsafe self.setPaused(isPaused, because: .overload, leg: leg, at: now)
        let isReduced =
            unsafe mayBeShed && leg.pointee.hasSmallerLayers
            && order.layered.takes(share: self.loadShedding.reduced, weight: weight, place: place)
        guard unsafe isReduced != leg.pointee.isReduced else { return }
        unsafe leg.pointee.isReduced = isReduced
        unsafe leg.pointee.hasReasonNews = true
        unsafe self.needsAllocation(leg.pointee.session, because: .bandwidth, at: now)
    }
}

extension Leg {
    /// What a viewer of a reduced video gets at most, in pictures a second: a message to the kernel for each costs more than
    /// what is in it.
    static let reducedFrameRate: Float = 15

    /// It would be sent if the worker could do more, or is.
    @inline(__always) var mayBeShed: Bool {
        guard self.kind == .video, unsafe self.track != nil, !self.isOnHold else { return false }
        return self.pauses & ~(1 << PauseReason.overload.rawValue) == 0 && self.weight > 0
    }

    @inline(__always) var hasSmallerLayers: Bool {
        guard let track = unsafe self.track else { return false }
        return unsafe track.pointee.layerCount > 1 || track.pointee.layers.pointee.rates.topSpatial > 0
            || self.offeredTemporal.max() > 0
    }

    /// From 0 to 1. Multiples of the golden ratio fill the circle evenly, however many there are.
    @inline(__always) var sheddingPlace: Double {
        Double(self.binding &* 0x9E37_79B9) / Double(UInt32.max)
    }
}
