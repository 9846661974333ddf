package import Basics
package import MediaControl
import Negotiation

/// Everything that the server knows of a participant's connection, for `stats` and for the operator.
package struct ParticipantReport: Sendable {
    package var participant: ParticipantInfo
    package var kind: SessionKind
    package var session: SessionID?
    package var statistics: SessionStatistics?
    /// Names of the participant's own tracks by mid.
    package var published: [String: TrackID]
    /// Names of the tracks that it is sent, by mid.
    package var bindings: [String: TrackID]
    /// ICE passwords are not in it.
    package var lastOffer: String
    package var lastAnswer: String
    /// Of the last full second; `nil` while no media flows.
    package var quality: QualityScore?
}

extension Room {
    package func report(of id: ParticipantID) async throws(RoomError) -> ParticipantReport {
        let participant = try self.participant(id)
        let negotiation = participant.negotiation
        let published = self.tracks(of: id).map { ($0.source.mid, $0.id) }
        var report = ParticipantReport(
            participant: self.info(of: participant),
            kind: participant.kind,
            session: negotiation?.session,
            statistics: nil,
            published: Dictionary(published, uniquingKeysWith: { _, last in last }),
            bindings: negotiation?.bindings ?? [:],
            lastOffer: Self.redacted(negotiation?.lastOffer ?? ""),
            lastAnswer: Self.redacted(negotiation?.lastAnswer ?? ""),
            quality: participant.quality.score
        )
        if let session = negotiation?.session { report.statistics = await self.worker.statistics(of: session) }
        return report
    }

    package func reports() async -> [ParticipantReport] {
        var reports: [ParticipantReport] = []
        for id in self.order {
            if let report = try? await self.report(of: id) { reports.append(report) }
        }
        return reports
    }

    private static func redacted(_ sdp: String) -> String {
        // Lines may end with LF alone (RFC 8866 §5), and CRLF is one Character.
        sdp.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map { line in
            line.hasPrefix("a=ice-pwd:") ? "a=ice-pwd:[redacted]" : String(line)
        }.joined(separator: "\r\n")
    }
}

extension ParticipantReport {
    /// The statistics by the names of W3C webrtc-stats.
    package var statisticsJSON: JSONValue {
        guard let statistics = self.statistics else {
            return ["transport": .null, "inbound": [], "outbound": [], "quality": .null]
        }
        return [
            "transport": statistics.transport.json,
            "inbound": .array(statistics.inbound.map { $0.json(track: self.published[$0.mid]) }),
            "outbound": .array(statistics.outbound.map { $0.json(track: self.bindings[$0.mid]) }),
            "quality": self.quality?.json ?? .null,
        ]
    }
}

extension QualityScore {
    package var json: JSONValue {
        [
            "score": .number(self.score), "fractionLost": JSONValue(self.fractionLost),
            "jitter": JSONValue(self.jitter), "roundTripTime": JSONValue(self.roundTripTime),
            "uplink": self.uplink?.json ?? .null, "downlink": self.downlink?.json ?? .null,
        ]
    }
}

extension QualityScore.Direction {
    fileprivate var json: JSONValue {
        [
            "score": .number(self.score), "fractionLost": JSONValue(self.fractionLost),
            "jitter": JSONValue(self.jitter),
        ]
    }
}

extension TransportStatistics {
    fileprivate var json: JSONValue {
        [
            "dtlsState": .string(self.connected ? "connected" : "new"),
            "selectedAddress": self.selectedAddress.map { .string("\($0)") } ?? .null,
            "bytesSent": JSONValue(self.bytesSent), "bytesReceived": JSONValue(self.bytesReceived),
            "packetsSent": JSONValue(self.packetsSent), "packetsReceived": JSONValue(self.packetsReceived),
            "dtlsCipher": .string(self.dtlsCipher), "srtpCipher": .string(self.srtpCipher),
            "availableOutgoingBitrate": self.availableOutgoingBitrate.map { .integer($0.bitsPerSecond) } ?? .null,
        ]
    }
}

extension InboundRTPStatistics {
    fileprivate func json(track: TrackID?) -> JSONValue {
        [
            "trackId": track.map { .string($0.value) } ?? .null,
            "mid": .string(self.mid), "rid": self.rid.map { .string($0) } ?? .null,
            "ssrc": .integer(Int64(self.ssrc.value)), "kind": .string(self.kind.name),
            "codec": self.codec.map { .string($0.rawValue) } ?? .null,
            "packetsReceived": JSONValue(self.packetsReceived), "bytesReceived": JSONValue(self.bytesReceived),
            "packetsLost": .integer(self.packetsLost), "jitter": JSONValue(self.jitter),
            "nackCount": JSONValue(self.nackCount), "pliCount": JSONValue(self.pliCount),
            "firCount": JSONValue(self.firCount),
            "retransmittedPacketsReceived": JSONValue(self.retransmittedPacketsReceived),
            "keyFramesReceived": JSONValue(self.keyFramesReceived),
            "frameWidth": self.frameWidth.map { JSONValue($0) } ?? .null,
            "frameHeight": self.frameHeight.map { JSONValue($0) } ?? .null,
        ]
    }
}

extension OutboundRTPStatistics {
    fileprivate func json(track: TrackID?) -> JSONValue {
        [
            "trackId": track.map { .string($0.value) } ?? .null,
            "mid": .string(self.mid), "ssrc": .integer(Int64(self.ssrc.value)), "kind": .string(self.kind.name),
            "codec": self.codec.map { .string($0.rawValue) } ?? .null,
            "packetsSent": JSONValue(self.packetsSent), "bytesSent": JSONValue(self.bytesSent),
            "retransmittedPacketsSent": JSONValue(self.retransmittedPacketsSent),
            "retransmittedBytesSent": JSONValue(self.retransmittedBytesSent),
            "nackCount": JSONValue(self.nackCount), "pliCount": JSONValue(self.pliCount),
            "firCount": JSONValue(self.firCount), "packetsLost": .integer(self.packetsLost),
            "fractionLost": JSONValue(self.fractionLost), "jitter": JSONValue(self.jitter),
            "roundTripTime": JSONValue(self.roundTripTime),
            "layer": self.selection?.json ?? .null,
        ]
    }
}

extension LayerSelection {
    /// Members of the `layer` message, without the track.
    package var json: JSONValue {
        var members: [String: JSONValue] = [
            "spatial": JSONValue(self.spatial), "temporal": JSONValue(self.temporal),
            "targetBitrate": .integer(self.targetBitrate.bitsPerSecond), "reason": .string(self.reason),
            "paused": .bool(self.spatial < 0 || self.isPausedForBandwidth),
        ]
        if let estimate = self.estimate { members["estimate"] = .integer(estimate.bitsPerSecond) }
        if let needs = self.nextLayerNeeds { members["nextLayerNeeds"] = .integer(needs.bitsPerSecond) }
        if let width = self.width { members["width"] = JSONValue(width) }
        if let height = self.height { members["height"] = JSONValue(height) }
        return .object(members)
    }
}
