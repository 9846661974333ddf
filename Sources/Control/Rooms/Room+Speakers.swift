import Basics
import MediaControl

extension Room {
    /// How often the room is told who speaks.
    static let speakersInterval = Nanoseconds.milliseconds(200)

    func heard(_ activities: [AudioActivity]) async {
        let now = self.now()
        for activity in activities {
            guard let id = self.sources[activity.track], let track = self.tracks[id], !track.info.muted else {
                continue
            }
            // What a shared screen plays is nobody's speech.
            guard track.info.source != .screenAudio else { continue }
            self.conversation.heard(track.publisher, level: activity.level, at: now)
        }
        await self.conversationGoesOn(at: now)
    }

    /// Lets pauses become long, and speakers leave those who spoke lately, when nobody sends any more.
    func conversationGoesOnInSilence(at now: Instant) async {
        if self.conversation.isFed(at: now) {
            self.pulses.request(for: self)
        } else {
            await self.conversationGoesOn(at: now)
        }
    }

    /// Tells everybody and the worker what has changed.
    func conversationGoesOn(at now: Instant) async {
        let hasNewSpeaker = self.conversation.update(at: now)
        self.tellSpeakers(at: now)
        await self.tellRoles()
        if hasNewSpeaker { await self.applyLastN() }
        if self.conversation.needsTime || !self.conversation.toldSpeakers.isEmpty { self.pulses.request(for: self) }
    }

    private func tellSpeakers(at now: Instant) {
        let speakers = self.conversation.current(at: now)
        guard Self.isWorthTelling(speakers, after: self.conversation.toldSpeakers) else { return }
        // Said at the next report or pulse, if it is still so.
        if let last = self.conversation.toldAt, now - last < Self.speakersInterval { return }
        self.conversation.toldAt = now
        self.conversation.toldSpeakers = speakers
        self.broadcast(.activeSpeakers(speakers))
    }

    /// Other speakers, another order, or one that is twice or half as loud.
    private static func isWorthTelling(_ new: [SpeakerLevel], after old: [SpeakerLevel]) -> Bool {
        guard new.map(\.participant) == old.map(\.participant) else { return true }
        return zip(new, old).contains { $0.level > $1.level * 2 || $1.level > $0.level * 2 }
    }

    private func tellRoles() async {
        for (id, role) in self.conversation.takeNewRoles() {
            for track in self.tracks(of: id) where track.info.kind == .video {
                await self.worker.setSpeechRole(role, for: track.source)
            }
        }
    }

    /// What the worker has to know of a new video track, or of one that shows something else now.
    func describe(_ track: Track, previous: TrackSource = .camera) async {
        guard track.info.kind == .video else { return }
        self.countCameras(of: track.publisher)
        let purpose = Self.purpose(of: track.info.source)
        if purpose != Self.purpose(of: previous) { await self.worker.setPurpose(purpose, for: track.source) }
        guard let role = self.conversation.roles[track.publisher] else { return }
        await self.worker.setSpeechRole(role, for: track.source)
    }

    private static func purpose(of source: TrackSource) -> TrackPurpose {
        switch source {
        case .camera: .camera
        case .screen: .screen
        case .microphone, .screenAudio, .other: .other
        }
    }
}
