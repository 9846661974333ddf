package import Basics
import CongestionControl
import Forwarding
package import MediaControl
import Negotiation
import PeerSession
import RTP

extension MediaRouter {
    /// A snapshot of one session, in the terms of W3C webrtc-stats; `nil` when it has gone.
    package func statistics(of id: SessionID) -> SessionStatistics? {
        guard let session = unsafe self.session(id) else { return nil }
        var statistics = SessionStatistics()
        statistics.transport.connected = unsafe session.pointee.isConnected
        statistics.transport.selectedAddress = unsafe session.pointee.peer.selected
        statistics.transport.packetsReceived = unsafe session.pointee.packetsReceived
        statistics.transport.bytesReceived = unsafe session.pointee.bytesReceived
        statistics.transport.packetsSent = unsafe session.pointee.packetsSent
        statistics.transport.bytesSent = unsafe session.pointee.bytesSent
        statistics.transport.dtlsCipher = unsafe session.pointee.peer.dtlsCipher
        statistics.transport.srtpCipher = unsafe session.pointee.srtpProfileName
        if let bandwidth = unsafe session.pointee.bandwidth {
            let estimate = unsafe bandwidth.pointee.estimator.estimate
            if estimate.source != .none { statistics.transport.availableOutgoingBitrate = estimate.bitrate }
        }
        for track in unsafe Each(session.pointee.tracks) {
            for layer in unsafe 0..<track.pointee.layerCount {
                if let entry = unsafe Self.inbound(track, layer: layer) { statistics.inbound.append(entry) }
            }
        }
        for leg in unsafe Each(session.pointee.legs) { statistics.outbound.append(unsafe Self.outbound(leg)) }
        return statistics
    }

    private static func inbound(_ track: TrackPointer, layer: Int) -> InboundRTPStatistics? {
        let source = unsafe track.pointee.layers + layer
        guard let ssrc = unsafe source.pointee.ssrc else { return nil }
        var entry = InboundRTPStatistics(
            mid: unsafe track.pointee.source.mid,
            rid: unsafe source.pointee.rid.isEmpty ? nil : source.pointee.rid,
            ssrc: ssrc,
            kind: unsafe track.pointee.kind
        )
        entry.codec = unsafe track.pointee.codec
        entry.packetsReceived = unsafe source.pointee.reception.packetCount
        entry.bytesReceived = unsafe source.pointee.reception.byteCount
        entry.packetsLost = unsafe source.pointee.reception.lostCount
        entry.jitter = unsafe source.pointee.reception.jitterInSeconds
        entry.nackCount = unsafe source.pointee.requestedPackets
        entry.pliCount = unsafe source.pointee.requestedKeyFrames
        entry.retransmittedPacketsReceived = unsafe source.pointee.retransmittedPackets
        entry.keyFramesReceived = unsafe source.pointee.keyFrameCount
        entry.frameWidth = unsafe source.pointee.width
        entry.frameHeight = unsafe source.pointee.height
        return entry
    }

    private static func outbound(_ leg: LegPointer) -> OutboundRTPStatistics {
        var entry = OutboundRTPStatistics(
            mid: unsafe leg.pointee.section.mid,
            ssrc: unsafe leg.pointee.ssrc,
            kind: unsafe leg.pointee.kind
        )
        if let track = unsafe leg.pointee.track {
            entry.source = unsafe track.pointee.source
            entry.codec = unsafe track.pointee.codec
            if unsafe leg.pointee.kind == .video {
                entry.selection = unsafe leg.pointee.selection
            }
        }
        entry.packetsSent = unsafe leg.pointee.statistics.packetCount
        entry.bytesSent = unsafe leg.pointee.statistics.byteCount
        entry.retransmittedPacketsSent = unsafe leg.pointee.statistics.retransmittedPacketCount
        entry.retransmittedBytesSent = unsafe leg.pointee.statistics.retransmittedByteCount
        entry.nackCount = unsafe leg.pointee.nackCount
        entry.pliCount = unsafe leg.pointee.pliCount
        entry.firCount = unsafe leg.pointee.firCount
        entry.packetsLost = unsafe Int64(leg.pointee.statistics.cumulativeLost)
        entry.fractionLost = unsafe leg.pointee.statistics.fractionLost
        entry.jitter = unsafe leg.pointee.statistics.jitter
        // Before the first report, or from a client that sends none, feedback about its packets tells it too.
        let reported = unsafe leg.pointee.statistics.roundTripTime
        entry.roundTripTime = unsafe (reported ?? leg.pointee.session.pointee.roundTripTime)?.inSeconds
        return entry
    }
}
