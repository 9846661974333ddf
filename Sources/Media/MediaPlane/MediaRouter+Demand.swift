import Basics
import CongestionControl
import MediaControl

/// Which simulcast layers anybody has use for: publishers are told, and leave the others out.
extension MediaRouter {
    mutating func watchDemand(for track: TrackPointer, at now: Instant) {
        guard unsafe track.pointee.layerCount > 1, unsafe track.pointee.kind == .video else { return }
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
}
