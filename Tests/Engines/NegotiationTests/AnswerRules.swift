import SDP

/// The rules that an answer must keep whatever the offer was (RFC 8829 §5.3, RFC 9143 §7.3, CONFORMANCE S-01, S-02).
///
/// Returns the broken ones in words; an independent reading of the two texts, not of the negotiator's values.
func brokenRules(offer: SessionDescription, answer: SessionDescription) -> [String] {
    var broken: [String] = []
    func expect(_ condition: Bool, _ words: String) { if !condition { broken.append(words) } }

    expect(answer.media.count == offer.media.count, "number of m-lines")
    expect(answer.isICELite, "a=ice-lite in the session part")
    let group = answer.bundle ?? []
    let offeredGroup = offer.bundle ?? []
    expect(group.allSatisfy { offeredGroup.contains($0) }, "BUNDLE within the offered one")
    expect(Set(group).count == group.count, "no mid twice in BUNDLE")

    for (index, (offered, answered)) in zip(offer.media, answer.media).enumerated() {
        let name = "m-line \(index): "
        expect(answered.media == offered.media && answered.transport == offered.transport, name + "kind, transport")
        expect(answered.mid == offered.mid, name + "mid")
        expect(!answered.has("crypto") && !answered.isBundleOnly, name + "no crypto, no bundle-only")
        guard answered.port != 0 else {
            expect(answered.mid.map { !group.contains($0) } ?? true, name + "rejected, yet in BUNDLE")
            expect(answered.formats == offered.formats, name + "rejected formats are the offered ones")
            continue
        }
        expect(offered.port != 0 || offered.isBundleOnly, name + "a stopped m-line must stay stopped")
        // A single m-line may come without a group, and then none is made up.
        let isGrouped = answered.mid.map { group.contains($0) } ?? false
        expect(isGrouped == (offer.bundle != nil), name + "accepted, yet not in BUNDLE")
        expect(answered.hasRTCPMux, name + "rtcp-mux")
        expect(!answered.hasReducedSizeRTCP || offered.hasReducedSizeRTCP, name + "rtcp-rsize only where offered")
        expect(answered.hasReceiverRoundTrip == offered.hasReceiverRoundTrip, name + "rtcp-xr where offered")
        expect(
            offered.offersCongestionControlFeedback || !answered.offersCongestionControlFeedback,
            name + "ccfb only where offered"
        )
        let kinds = answered.all(SDPAttribute.RTCPFeedback.self).map { $0.kind }
        expect(!kinds.contains("ack ccfb") || !kinds.contains("transport-cc"), name + "one kind of congestion feedback")
        let setup = offered.first(SDPAttribute.Setup.self) ?? offer.first(SDPAttribute.Setup.self)
        expect(
            answered.first(SDPAttribute.Setup.self) == (setup == .passive ? .active : .passive),
            name + "setup:passive, unless the client is that"
        )
        expect(answered.all(SDPAttribute.CertificateFingerprint.self).count == 1, name + "one fingerprint")
        expect(answered.iceUsernameFragment != nil && answered.icePassword != nil, name + "ICE credentials")
        let isTagged = group.isEmpty || answered.mid == group.first
        expect(answered.candidates.isEmpty == !isTagged, name + "candidates in the tagged m-line alone")
        expect(answered.hasEndOfCandidates == isTagged, name + "end-of-candidates")
        broken += brokenMediaRules(offered, answered, offer.direction, name)
    }
    return broken
}

private func brokenMediaRules(
    _ offered: MediaDescription,
    _ answered: MediaDescription,
    _ sessionDirection: SDPAttribute.Direction?,
    _ name: String
) -> [String] {
    var broken: [String] = []
    func expect(_ condition: Bool, _ words: String) { if !condition { broken.append(name + words) } }

    let wanted = offered.direction ?? sessionDirection ?? .sendReceive
    switch answered.direction {
    case .receiveOnly: expect(wanted.sends, "recvonly to a peer that does not send")
    case .sendOnly: expect(wanted == .receiveOnly || wanted == .sendReceive, "sendonly to a peer that does not receive")
    case .inactive: break
    case .sendReceive, nil: expect(false, "a direction of its own")
    }
    expect(!answered.formats.isEmpty, "formats")
    let positions = answered.formats.map { offered.formats.firstIndex(of: $0) }
    expect(!positions.contains(nil), "formats that were offered")
    expect(Set(answered.formats).count == answered.formats.count, "no format twice")
    let maps = answered.all(SDPAttribute.RTPMap.self)
    let offeredMaps = offered.all(SDPAttribute.RTPMap.self)
    expect(Set(maps.map { String($0.payloadType) }) == Set(answered.formats), "an rtpmap for each format")
    for map in maps {
        let same = offeredMaps.contains { other in
            other.payloadType == map.payloadType && other.encoding.lowercased() == map.encoding.lowercased()
                && other.clockRate == map.clockRate
        }
        expect(same, "payload type \(map.payloadType) means what the offer said")
    }
    // The media formats stay in the client's order; each is followed by its retransmission.
    let media = maps.filter { $0.encoding != "rtx" }.map { map in
        offered.formats.firstIndex(of: "\(map.payloadType)") ?? -1
    }
    expect(media == media.sorted(), "the client's order of preference")
    for parameters in answered.all(SDPAttribute.FormatParameters.self) {
        expect(answered.formats.contains("\(parameters.payloadType)"), "fmtp of an accepted format")
        for pair in SDPAttribute.FormatParameters.pairs(of: parameters.text) where pair.key == "apt" {
            expect(answered.formats.contains(pair.value), "rtx of an accepted format")
        }
    }
    let offeredFeedback = offered.all(SDPAttribute.RTCPFeedback.self)
    for feedback in answered.all(SDPAttribute.RTCPFeedback.self) {
        let wasOffered = offeredFeedback.contains { other in
            other.kind == feedback.kind && (other.payloadType == nil || other.payloadType == feedback.payloadType)
        }
        expect(wasOffered, "feedback '\(feedback.kind)' was offered")
    }
    let offeredExtensions = offered.all(SDPAttribute.ExtensionMapping.self)
    let extensions = answered.all(SDPAttribute.ExtensionMapping.self)
    for mapping in extensions {
        expect(offeredExtensions.contains { $0.id == mapping.id && $0.uri == mapping.uri }, "extmap \(mapping.id)")
        if answered.direction == .sendOnly { expect(!mapping.uri.hasSuffix("rtp-stream-id"), "no rid on send") }
    }
    expect(Set(extensions.map { $0.id }).count == extensions.count, "no extension id twice")
    broken += brokenStreamRules(offered, answered, name)
    return broken
}

private func brokenStreamRules(_ offered: MediaDescription, _ answered: MediaDescription, _ name: String) -> [String] {
    var broken: [String] = []
    func expect(_ condition: Bool, _ words: String) { if !condition { broken.append(name + words) } }

    let rids = answered.all(SDPAttribute.RID.self)
    let offeredRIDs = offered.all(SDPAttribute.RID.self)
    expect(rids.allSatisfy { $0.direction == .receive }, "rid recv")
    expect(rids.allSatisfy { rid in offeredRIDs.contains { $0.id == rid.id && $0.direction == .send } }, "rid offered")
    if let simulcast = answered.first(SDPAttribute.Simulcast.self) {
        expect(simulcast.send.isEmpty, "simulcast recv only")
        expect(simulcast.receive.flatMap { $0 }.map { $0.rid } == rids.map { $0.id }, "a rid line per stream")
        expect(answered.direction == .receiveOnly, "simulcast only where the client publishes")
    } else {
        expect(rids.isEmpty, "rid without simulcast")
    }
    let sources = answered.all(SDPAttribute.SourceAttribute.self)
    if answered.direction == .sendOnly {
        expect(answered.first(SDPAttribute.MediaStreamID.self)?.track != nil, "msid")
        expect(sources.contains { $0.name == "cname" && $0.value?.isEmpty == false }, "ssrc with cname")
        let group = answered.first(SDPAttribute.SourceGroup.self)
        let hasRetransmission = answered.all(SDPAttribute.RTPMap.self).contains { $0.encoding == "rtx" }
        expect((group?.ssrcs.count == 2) == hasRetransmission, "FID group with rtx")
    } else {
        expect(sources.isEmpty && !answered.has("msid"), "no sources where the server does not send")
    }
    return broken
}
