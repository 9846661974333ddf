import Basics
import RTP
import SDP

/// Reads what one offered m-line says besides its codecs.
enum SectionReader {
    /// The bounds on what one m-line of a peer may make the server remember.
    static let maximumEncodings = 4
    static let maximumSources = 8

    /// The extensions that both sides know, with the ids of the offer (RFC 8285 §6), and the lines that answer them.
    ///
    /// Ids above 14 need the two-byte form, so they count only where it may be mixed in; 15 is reserved.
    static func extensions(
        _ media: MediaDescription,
        direction: NegotiatedSection.Direction,
        allowsMixed: Bool,
        leavingOut unwanted: HeaderExtension? = nil
    ) -> (map: HeaderExtensionMap, answered: [SDPAttribute.ExtensionMapping]) {
        var map = HeaderExtensionMap()
        var answered: [SDPAttribute.ExtensionMapping] = []
        for offered in media.all(SDPAttribute.ExtensionMapping.self) {
            guard let kind = HeaderExtension(uri: offered.uri), kind != unwanted,
                let id = UInt8(exactly: offered.id), id != 15,
                id < 15 || allowsMixed, map[kind] == 0, map.kind(ofID: id) == nil
            else { continue }
            let isForSimulcast = kind == .rid || kind == .repairedRID
            if isForSimulcast, direction == .send || media.media != "video" { continue }
            // The one-byte form ends at 16 bytes; such an m-line is told by its SSRCs.
            if kind == .mid, (media.mid ?? "").utf8.count > 16 { continue }
            var line = SDPAttribute.ExtensionMapping(id: offered.id, uri: offered.uri)
            if let suffix = offered.direction {
                switch direction {
                case .receive:
                    guard suffix.sends else { continue }
                    line.direction = suffix == .sendReceive ? .sendReceive : .receiveOnly
                case .send:
                    guard suffix.receives else { continue }
                    line.direction = suffix == .sendReceive ? .sendReceive : .sendOnly
                case .inactive: line.direction = suffix.reversed
                }
            }
            map[kind] = id
            answered.append(line)
        }
        return (map, answered)
    }

    /// The simulcast streams that the client may send: the `a=rid` lines and the list that answer the offer.
    ///
    /// An answer may only take away (RFC 8853 §5.3.2): per stream the first alternative that stands, at most
    /// `maximumEncodings` streams. `~` comes back as it was, otherwise a browser would switch a paused layer on.
    static func simulcast(
        _ media: MediaDescription,
        codecs: [NegotiatedCodec]
    ) -> (rids: [SDPAttribute.RID], streams: [SDPAttribute.Simulcast.Alternative]) {
        guard let offered = media.first(SDPAttribute.Simulcast.self), !offered.send.isEmpty else { return ([], []) }
        let payloadTypes = Set(codecs.map { $0.payloadType })
        var lines: [String: SDPAttribute.RID] = [:]
        var repeated: Set<String> = []
        for rid in media.all(SDPAttribute.RID.self) where lines.updateValue(rid, forKey: rid.id) != nil {
            repeated.insert(rid.id)
        }
        var rids: [SDPAttribute.RID] = []
        var streams: [SDPAttribute.Simulcast.Alternative] = []
        for stream in offered.send where streams.count < Self.maximumEncodings {
            for alternative in stream {
                guard var rid = lines[alternative.rid], !repeated.contains(rid.id), rid.direction == .send,
                    rid.id.utf8.count <= 16, rid.restrictions.allSatisfy({ $0.isKnown }),
                    !rids.contains(where: { $0.id == rid.id })
                else { continue }
                let isRestricted = !rid.payloadTypes.isEmpty
                rid.payloadTypes.removeAll { !payloadTypes.contains($0) }
                if isRestricted, rid.payloadTypes.isEmpty { continue }
                rid.direction = .receive
                rids.append(rid)
                streams.append(alternative)
                break
            }
        }
        return (rids, streams)
    }

    /// The SSRCs that the m-line announces, each with its retransmission SSRC, at most `maximumSources`.
    ///
    /// In the order of a legacy `SIM` group where there is one, else in that of the lines.
    static func sources(_ media: MediaDescription) -> (ssrcs: [RemoteSSRC], cname: String?) {
        let attributes = media.all(SDPAttribute.SourceAttribute.self)
        let groups = media.all(SDPAttribute.SourceGroup.self)
        var retransmission: [UInt32: UInt32] = [:]
        var secondary: Set<UInt32> = []
        for group in groups where group.semantics != "SIM" && group.ssrcs.count == 2 {
            secondary.insert(group.ssrcs[1])
            if group.semantics == "FID" { retransmission[group.ssrcs[0]] = group.ssrcs[1] }
        }
        let simulcast = groups.first { $0.semantics == "SIM" }?.ssrcs ?? []
        var seen: Set<UInt32> = []
        let primary = (simulcast + attributes.map { $0.ssrc }).filter { ssrc in
            ssrc != 0 && !secondary.contains(ssrc) && seen.insert(ssrc).inserted
        }
        let ssrcs = primary.prefix(Self.maximumSources).map { ssrc in
            RemoteSSRC(media: SSRC(ssrc), retransmission: retransmission[ssrc].map { SSRC($0) })
        }
        return (ssrcs, attributes.first { $0.name == "cname" }?.value)
    }

    /// `a=msid`, or what older clients and GStreamer write in its place as an attribute of the SSRC.
    static func mediaStreamID(_ media: MediaDescription) -> SDPAttribute.MediaStreamID? {
        if let id = media.first(SDPAttribute.MediaStreamID.self) { return id }
        let legacy = media.all(SDPAttribute.SourceAttribute.self).first { $0.name == "msid" }
        return legacy?.value.flatMap { SDPAttribute.MediaStreamID(attributeValue: Substring($0)) }
    }
}
