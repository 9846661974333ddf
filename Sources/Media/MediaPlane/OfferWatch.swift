import Basics
import CongestionControl

/// Notices when what a track offers is no longer what it was, so that its subscribers' allocators need not look again and
/// again at what has not changed.
struct OfferWatch {
    /// Looked at no more often, whoever asks.
    private static let interval = Nanoseconds.milliseconds(25)
    /// In per cent: bitrates breathe.
    private static let step: Int64 = 2

    /// Another one for each change; wraps.
    private(set) var version: UInt32 = 0
    private var offers = AllocationRequest(id: 0)
    private var wanted: Bitrate?
    private var nextLook = Instant.zero

    /// Whether it is time to look.
    mutating func isDue(at now: Instant) -> Bool {
        guard now >= self.nextLook else { return false }
        self.nextLook = now + Self.interval
        return true
    }

    /// - Parameter wanted: what the publisher would send if it were not limited; `nil` = it is not.
    mutating func look(at offers: AllocationRequest, wanted: Bitrate?) {
        guard wanted != self.wanted || !self.isSame(offers) else { return }
        self.offers = offers
        self.wanted = wanted
        self.version &+= 1
    }

    @inline(__always) private func isSame(_ offers: AllocationRequest) -> Bool {
        guard offers.offerCount == self.offers.offerCount else { return false }
        for index in 0..<offers.offerCount {
            let (offer, known) = (offers.offers[index], self.offers.offers[index])
            guard offer.spatial == known.spatial, offer.temporal == known.temporal, offer.width == known.width,
                offer.height == known.height
            else { return false }
            let difference = abs(offer.bitrate.bitsPerSecond - known.bitrate.bitsPerSecond)
            guard difference * 100 <= known.bitrate.bitsPerSecond * Self.step else { return false }
            guard abs(offer.framesPerSecond - known.framesPerSecond) <= 0.05 * known.framesPerSecond else {
                return false
            }
        }
        return true
    }
}

extension Track {
    /// Changes when its offers do.
    mutating func offersVersion(at now: Instant) -> UInt32 {
        guard self.offerWatch.isDue(at: now) else { return self.offerWatch.version }
        var offers = AllocationRequest(id: 0)
        self.addOffers(to: &offers, factor: 1, at: now)
        self.offerWatch.look(at: offers, wanted: unsafe self.owner?.pointee.publisherLimit.wanted)
        return self.offerWatch.version
    }

    /// Adds the operating points of all layers that are sent.
    @inline(__always) func addOffers(to request: inout AllocationRequest, factor: Float, at now: Instant) {
        for rank in 0..<self.layerCount {
            let source = unsafe self.layers + self.layer(rank: rank)
            guard unsafe source.pointee.isActive else { continue }
            unsafe source.pointee.rates.addOffers(
                to: &request,
                rank: self.layerCount > 1 ? rank : nil,
                size: (source.pointee.width ?? 0, source.pointee.height ?? 0),
                factor: factor,
                at: now
            )
        }
    }
}
