import Audio
import Basics
import MediaControl

extension Room {
    /// The room's own last-N in place of the operator's; for the admin API.
    ///
    /// - Parameter count: of how many others each participant is sent the camera at most; `nil` = of all.
    package func setLastN(_ count: Int?) async {
        await self.enter()
        defer { self.leaveTurn() }
        self.ownLastN = .some(count)
        self.settings.lastN = count
        await self.applyLastN()
    }

    package var lastN: Int? { self.settings.lastN }

    func countCameras(of publisher: ParticipantID) {
        let isThere = self.tracks(of: publisher).contains(where: Self.countsForLastN)
        self.conversation.showsCamera(publisher, isThere)
    }

    /// A shared screen is what the meeting is about.
    private static func countsForLastN(_ track: Track) -> Bool {
        track.info.kind == .video && track.info.source != .screen
    }

    func applyLastN() async {
        guard self.settings.lastN != nil || self.participants.values.contains(where: { !$0.heldBack.isEmpty }) else {
            return
        }
        for id in self.order {
            if let participant = self.participants[id] { await self.applyLastN(to: participant) }
        }
    }

    /// Holds back the cameras that are not among the last N, and lets go those that are.
    func applyLastN(to participant: Participant) async {
        guard let negotiation = participant.negotiation else { return }
        guard self.settings.lastN != nil || !participant.heldBack.isEmpty else { return }
        let shown = self.settings.lastN.map { self.shownCameras(to: participant, count: $0) }
        for (mid, id) in negotiation.bindings.sorted(by: { $0.key < $1.key }) {
            guard let track = self.tracks[id] else { continue }
            let isHeldBack = Self.countsForLastN(track) && shown.map { !$0.contains(track.publisher) } ?? false
            guard isHeldBack != (participant.heldBack[mid] == id) else { continue }
            participant.heldBack[mid] = isHeldBack ? id : nil
            let section = SectionReference(session: negotiation.session, mid: mid)
            await self.worker.setPaused(isHeldBack, because: .lastN, for: section)
        }
    }

    /// Whom the participant has pinned, then who spoke last, then who came first.
    private func shownCameras(to participant: Participant, count: Int) -> Set<ParticipantID> {
        let pinned = participant.preferences.filter { $0.value.priority == TrackPreference.pinned }.keys
        let pinnedOwners = Set(pinned.compactMap { self.tracks[$0] }.filter(Self.countsForLastN).map(\.publisher))
        var others = self.conversation.lastN
        for owner in pinnedOwners { others.leave(owner) }
        others.limit = max(count - pinnedOwners.count, 0)
        return pinnedOwners.union(others.shown(to: participant.id))
    }
}
