import Basics
import Logging
import MediaControl
import Metrics

extension Room {
    /// Takes what a worker says of one of this room's sessions.
    func handle(_ event: MediaEvent) async {
        await self.enter()
        defer { self.leaveTurn() }
        switch event {
        case .connected(let session):
            self.logger.debug("media connected", metadata: ["session": "\(session)"])
        case .ended(let session, let reason):
            await self.sessionEnded(session, reason)
        case .firstMedia(_, let after):
            Timer(label: "sluice_join_duration_seconds").recordNanoseconds(max(after.count, 0))
        case .layersChanged(let source, let codec, let layers):
            guard let track = self.sources[source].flatMap({ self.tracks[$0] }) else { return }
            guard track.info.codec != codec || track.info.layers != layers else { return }
            self.tracks[track.id]?.info.codec = codec
            self.tracks[track.id]?.info.layers = layers
            if let publisher = self.participants[track.publisher] { self.broadcastChange(of: publisher) }
        case .selectionChanged(let section, let selection):
            guard
                let participant = self.participants.values.first(where: { $0.negotiation?.session == section.session }),
                let track = participant.negotiation?.bindings[section.mid]
            else { return }
            participant.tell(.layer(track, selection))
        case .layersWanted(let source, let rids):
            guard let id = self.sources[source], let track = self.tracks[id] else { return }
            self.tracks[id]?.layersWanted = rids
            self.participants[track.publisher]?.tell(.layersWanted(id, rids: rids))
        case .audioActivity(let activities): await self.heard(activities)
        }
    }

    /// The peer connection is over, not the participant: one with a WebSocket may offer another.
    private func sessionEnded(_ session: SessionID, _ reason: SessionEndReason) async {
        guard let participant = self.participants.values.first(where: { $0.negotiation?.session == session }) else {
            return
        }
        self.logger.info(
            "media session ended",
            metadata: ["session": "\(session)", "reason": "\(reason.rawValue)", "kind": "\(participant.kind.rawValue)"]
        )
        // Closed too: an offer on its way may have made the worker begin the session anew.
        if let negotiation = participant.negotiation { await self.end(negotiation, isClosed: false) }
        participant.negotiation = nil
        for track in self.tracks(of: participant.id) { await self.unpublish(track) }
        if participant.kind != .websocket { await self.drop(participant, reason: .mediaEnded) }
    }

    /// Up to so many in a room are told everybody's quality each second; in larger rooms that would be most of what is
    /// said at all.
    private static let smallRoom = 4

    /// Measures everybody's connection, once a second. Everybody is told of their own; of the others' each second in a
    /// small room, else of those who publish: when they change by more than half a point, and once after joining. What
    /// hundreds of listeners are told of each other would grow with their square, and nobody sees it.
    func reportQuality() async {
        var news: [ParticipantID] = []
        let sessions = self.order.compactMap { self.participants[$0]?.negotiation?.session }
        let measured = await self.worker.statistics(of: sessions)
        let recorders = ["in", "out"].map { Recorder(label: "sluice_quality_score", dimensions: [("direction", $0)]) }
        for id in self.order {
            guard let participant = self.participants[id], let session = participant.negotiation?.session,
                let statistics = measured[session]
            else { continue }
            participant.quality.update(statistics)
            guard let score = participant.quality.score else { continue }
            for (recorder, part) in zip(recorders, [score.uplink, score.downlink]) {
                if let part { recorder.record(part.score) }
            }
            let told = self.publishes(id) && !participant.isHidden ? score.score.rounded() : nil
            if told != nil, told != participant.toldQuality { news.append(id) }
            participant.toldQuality = told
            participant.tell(.quality(id, score))
            self.adviseAudioBitrate(participant, roundTripTime: score.roundTripTime)
        }
        let all = self.participants.count <= Self.smallRoom ? self.order : self.order.filter { self.publishes($0) }
        for listener in self.participants.values where !listener.isHidden {
            let isToldAll = !listener.hasHeardQualities || self.participants.count <= Self.smallRoom
            let subjects = isToldAll ? all : news
            listener.hasHeardQualities = true
            for id in subjects where id != listener.id {
                guard let subject = self.participants[id], !subject.isHidden, let score = subject.quality.score else {
                    continue
                }
                listener.tell(.quality(id, score))
            }
        }
    }

    private func publishes(_ id: ParticipantID) -> Bool { self.published[id]?.isEmpty == false }

    private func adviseAudioBitrate(_ participant: Participant, roundTripTime: Double?) {
        for track in self.tracks(of: participant.id) where track.info.kind == .audio {
            guard let measured = participant.quality.audio[track.source.mid] else { continue }
            var advice = participant.audioAdvice[track.id] ?? AudioAdvice()
            let bitrate = advice.update(
                measured: measured.bitrate,
                fractionLost: measured.fractionLost,
                roundTripTime: roundTripTime
            )
            participant.audioAdvice[track.id] = advice
            if let bitrate { participant.tell(.bitrateHint(track.id, bitrate)) }
        }
    }
}
