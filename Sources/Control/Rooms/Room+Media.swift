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
            guard let track = self.tracks.values.first(where: { $0.source == source }) else { return }
            guard track.info.codec != codec || track.info.layers != layers else { return }
            self.tracks[track.id]?.info.codec = codec
            self.tracks[track.id]?.info.layers = layers
            if let publisher = self.participants[track.publisher] { self.broadcastChange(of: publisher) }
        case .selectionChanged(let section, let selection):
            guard
                let participant = self.participants.values.first(where: { $0.negotiation?.session == section.session }),
                let track = participant.negotiation?.bindings[section.mid]
            else { return }
            participant.sink(.layer(track, selection))
        case .layersWanted, .audioActivity:
            break
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

    /// Measures everybody's connection and tells them.
    func reportQuality() async {
        for id in self.order {
            guard let participant = self.participants[id], participant.kind == .websocket,
                let session = participant.negotiation?.session,
                let statistics = await self.worker.statistics(of: session),
                let score = QualityScore(statistics)
            else { continue }
            // From what it is sent: the score of its downlink.
            Recorder(label: "sluice_quality_score", dimensions: [("direction", "out")]).record(score.score)
            participant.sink(.quality(id, score))
        }
    }
}
