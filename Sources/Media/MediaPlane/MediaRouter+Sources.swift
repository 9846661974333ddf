import Basics
import Forwarding
import MediaControl
import Negotiation
import PeerSession
import RTP

/// Which track and layer an inbound SSRC belongs to. Runs once for each SSRC, not for each packet.
extension MediaRouter {
    /// How long a stream must have been silent before an SSRC that nobody announced takes its place.
    private static let takeoverSilence = Nanoseconds.milliseconds(500)

    /// RFC 9143 §9.2 and RFC 8853 §5: the MID (with RID for a layer), then an announced SSRC, then a payload type that
    /// only one m-line has. Runs once for each SSRC.
    mutating func resolve(
        _ header: RTPHeaderInfo,
        in packet: RawSpan,
        session: SessionPointer,
        at now: Instant
    ) -> InboundRoute? {
        guard let track = unsafe self.track(of: header, in: packet, session: session) else { return nil }
        let format = unsafe track.pointee.format(header.payloadType)
        var layer: Int?
        var isRetransmission = format.role == .retransmission
        if let rid = header.repairedRID(in: packet) {
            layer = unsafe track.pointee.layer(rid: rid)
            isRetransmission = true
        } else if let rid = header.rid(in: packet) {
            layer = unsafe track.pointee.layer(rid: rid)
        }
        if layer == nil {
            for index in unsafe 0..<track.pointee.layerCount {
                guard let announced = unsafe track.pointee.layers[index].announced else { continue }
                if announced.media == header.ssrc || announced.retransmission == header.ssrc { layer = index }
            }
        }
        // Without simulcast there is only one place to go.
        if layer == nil, unsafe track.pointee.layerCount == 1 { layer = 0 }
        guard let layer, format.role != .none else { return nil }
        let source = unsafe track.pointee.layers + layer
        if isRetransmission {
            unsafe source.pointee.retransmissionSSRC = header.ssrc
        } else if unsafe source.pointee.ssrc != header.ssrc {
            if let old = unsafe source.pointee.ssrc {
                // A layer is one stream at a time. One that was announced replaces it; any other SSRC has to wait until
                // it is silent, or made-up ones would cut it to pieces (ATTACKS A-53).
                let isAnnounced = unsafe source.pointee.announced?.media == header.ssrc
                if !isAnnounced, let last = unsafe source.pointee.lastPacket, now - last < Self.takeoverSilence {
                    return nil
                }
                for stream in 0..<32
                where unsafe session.pointee.routes[stream].ssrc == old
                    && session.pointee.routes[stream].role == .media
                {
                    unsafe session.pointee.routes[stream] = InboundRoute()
                }
            }
            unsafe self.takeSSRC(header.ssrc, of: track, layer: layer)
            if unsafe !session.pointee.hasReportedFirstMedia { unsafe self.reportFirstMedia(session, at: now) }
        }
        return unsafe InboundRoute(
            ssrc: header.ssrc,
            track: track,
            layer: layer,
            role: isRetransmission ? .retransmission : .media
        )
    }

    /// A layer begins, or begins anew: everyone who is sent it waits for its key frame then.
    func takeSSRC(_ ssrc: SSRC, of track: TrackPointer, layer: Int) {
        let source = unsafe track.pointee.layers + layer
        defer { unsafe source.pointee.ssrc = ssrc }
        guard unsafe source.pointee.ssrc != nil else { return }
        unsafe source.pointee.restart(ssrc: ssrc, kind: track.pointee.kind)
        for leg in unsafe Each(track.pointee.legs) {
            unsafe leg.pointee.startAnew()
        }
    }

    private func track(of header: RTPHeaderInfo, in packet: RawSpan, session: SessionPointer) -> TrackPointer? {
        if let mid = header.mid(in: packet) {
            return unsafe session.pointee.tracks.first { unsafe $0.pointee.mid == mid }
        }
        for track in unsafe Each(session.pointee.tracks) {
            let isAnnounced = unsafe track.pointee.section.remoteSSRCs.contains {
                $0.media == header.ssrc || $0.retransmission == header.ssrc
            }
            if isAnnounced { return unsafe track }
        }
        var only: TrackPointer?
        for track in unsafe Each(session.pointee.tracks)
        where unsafe track.pointee.format(header.payloadType).role != .none {
            // Another packet of the stream may say more.
            guard unsafe only == nil else { return nil }
            unsafe only = track
        }
        return unsafe only
    }
}
