import Basics
import CongestionControl
import MediaControl
import Negotiation
import RTP

/// Which simulcast layers anybody has use for: publishers are told, and leave the others out. And how much of a
/// video without layers anybody can take.
extension MediaRouter {
    mutating func watchDemand(for track: TrackPointer, at now: Instant) {
        guard unsafe track.pointee.kind == .video else { return }
        if let owner = unsafe track.pointee.owner { unsafe self.watchLimit(of: owner, with: track, at: now) }
        guard unsafe track.pointee.layerCount > 1 else { return }
        var highest: Int?
        for leg in unsafe Each(track.pointee.legs) {
            guard let rank = unsafe leg.pointee.highestWantedRank else { continue }
            highest = max(highest ?? 0, rank)
        }
        guard unsafe track.pointee.owner != nil else {
            unsafe self.reportDemand(of: track, highestRank: highest)
            return
        }
        for index in unsafe 0..<track.pointee.linkCount {
            guard let rank = unsafe track.pointee.highestRankWanted(over: index) else { continue }
            highest = max(highest ?? 0, rank)
        }
        guard unsafe track.pointee.demand.update(highestWanted: highest, at: now) else { return }
        let layers = unsafe track.pointee.demand.layers
        var rids: [String] = []
        for rank in unsafe 0..<track.pointee.layerCount where layers & (1 << UInt8(rank)) != 0 {
            rids.append(unsafe track.pointee.layers[track.pointee.layer(rank: rank)].rid)
        }
        self.emit(.layersWanted(unsafe track.pointee.source, rids: rids))
    }

    /// What each sound next to it may take, in bit/s: a publisher takes a limit for one on all that it sends.
    private static let soundAllowance: Int64 = 60_000
    /// What a limit that is lifted is set to: more than any encoder makes (REMB has no other way to say it).
    private static let unlimited = Bitrate.kbps(100_000)

    /// In per cent of an estimate: what a limit may be. The rest is for what an encoder overshoots.
    private static let usable: Int64 = 95

    /// What a limited publisher sends proves no more than the limit: probes find out whether the path carries all of it.
    /// - Parameter others: bit/s of all else that the subscriber is sent.
    func raise(_ goal: inout ProbeGoal, for leg: LegPointer, besides others: Int64) {
        guard let track = unsafe leg.pointee.track, unsafe leg.pointee.highestWantedRank != nil,
            let owner = unsafe track.pointee.owner, unsafe track.pointee.layers.pointee.isActive,
            let wanted = unsafe owner.pointee.publisherLimit.wanted
        else { return }
        let needed = (wanted.bitsPerSecond + others) * 100 / Self.usable
        goal.bitrate = max(goal.bitrate, Bitrate(bitsPerSecond: needed))
        goal.wanted = max(goal.wanted, goal.bitrate)
    }

    /// Asks the publisher of a single video without layers to send no more than the best viewer's path carries.
    private mutating func watchLimit(of owner: SessionPointer, with track: TrackPointer, at now: Instant) {
        guard unsafe owner.pointee.isConnected, unsafe track.pointee.takesMaximumBitrate else { return }
        var videoCount = 0
        var soundCount: Int64 = 0
        for other in unsafe Each(owner.pointee.tracks) {
            guard unsafe other.pointee.kind == .video else {
                soundCount += 1
                continue
            }
            // The first video stands for the session.
            if videoCount == 0, unsafe other != track { return }
            videoCount += 1
        }
        let source = unsafe track.pointee.layers
        // Viewers at other workers are not known here, and scalable video is cut to size for each viewer.
        let isSingle =
            unsafe videoCount == 1 && track.pointee.layerCount == 1 && track.pointee.linkCount == 0
            && source.pointee.rates.topSpatial == 0
        let isLimited = unsafe owner.pointee.publisherLimit.bitrate != nil
        let carried = unsafe isSingle ? self.carried(track, isLimited: isLimited, at: now) : nil
        let order = unsafe owner.pointee.publisherLimit.update(
            carried: carried,
            published: source.pointee.rates.whole(at: now),
            isUnserved: true,
            at: now
        )
        guard let order, let media = unsafe source.pointee.ssrc else { return }
        let total =
            switch order {
            case .limit(let bitrate): Bitrate(bitsPerSecond: bitrate.bitsPerSecond + soundCount * Self.soundAllowance)
            case .lift: Self.unlimited
            }
        let isReduced = unsafe track.pointee.section.reducedSizeRTCP
        unsafe self.sendMaximumBitrate(total, to: owner, about: media, isReduced: isReduced)
    }

    /// What the best viewer's path has for a track; `nil` = there is nothing to limit: nobody watches, somebody is sent all
    /// without a limit, or somebody's path is not known yet. That of a newcomer does not end a limit: all of it at once
    /// would flood the others.
    private func carried(_ track: TrackPointer, isLimited: Bool, at now: Instant) -> Bitrate? {
        var best: Int64?
        for leg in unsafe Each(track.pointee.legs) {
            guard unsafe leg.pointee.highestWantedRank != nil, unsafe leg.pointee.session.pointee.isConnected else {
                continue
            }
            guard let bandwidth = unsafe leg.pointee.session.pointee.bandwidth else { return nil }
            guard let decision = unsafe leg.pointee.decision, let summary = unsafe bandwidth.pointee.summary else {
                guard isLimited else { return nil }
                continue
            }
            let estimate = unsafe self.bounded(bandwidth.pointee.estimator.estimate, for: leg.pointee.session)
            if !isLimited {
                let isServed = decision.nextNeeds == .zero && decision.spatial >= 0
                guard estimate.source != .none, !isServed else { return nil }
            }
            let audio = unsafe bandwidth.pointee.audio.bitrate(at: now)?.bitsPerSecond ?? 0
            let others = summary.allocated.bitsPerSecond - decision.bitrate.bitsPerSecond
            var share = estimate.bitrate.bitsPerSecond * Self.usable / 100 - audio - max(others, 0)
            // To come back it needs more than it takes.
            if decision.isPausedForBandwidth { share = share * 1_000 / UpThreshold.resume }
            best = max(best ?? 0, share)
        }
        return best.map { Bitrate(bitsPerSecond: $0) }
    }
}
