import Audio
import Basics
import MediaControl

/// What a room knows of its conversation, from how loud everybody is. Without a clock: time comes in.
struct Conversation {
    private struct Voice {
        /// 0 (loudest) to 127 (silence), in -dBov.
        var level: UInt8
        var loudAt: Instant?
    }

    /// Louder than this is taken for part of what a speaker says, in -dBov.
    private static let threshold: UInt8 = 50
    /// The pauses between words end nothing.
    private static let pause = Nanoseconds.milliseconds(600)

    private var speakers = ActiveSpeakers<ParticipantID>()
    private(set) var lastN = LastN<ParticipantID>(limit: nil)
    private var voices: [ParticipantID: Voice] = [:]
    /// Those who spoke lately, as of the last `update`.
    private var previous: Set<ParticipantID> = []
    private var leader: ParticipantID?
    /// Roles may be others than the worker was told.
    private var hasNewRoles = false
    private var heardAt: Instant?

    /// What everybody was last told.
    var toldSpeakers: [SpeakerLevel] = []
    var toldAt: Instant?
    /// What the worker was last told; those who are not in it are silent.
    var roles: [ParticipantID: SpeechRole] = [:]

    mutating func heard(_ participant: ParticipantID, level: UInt8, at now: Instant) {
        self.heardAt = now
        self.speakers.report(participant, level: level, at: now)
        let loudAt = level < Self.threshold ? now : self.voices[participant]?.loudAt
        self.voices[participant] = Voice(level: level, loudAt: loudAt)
    }

    mutating func remove(_ participant: ParticipantID) {
        self.speakers.remove(participant)
        self.lastN.leave(participant)
        self.voices[participant] = nil
        self.roles[participant] = nil
        self.previous.remove(participant)
        self.hasNewRoles = true
    }

    /// Returns whether there is somebody new among those who spoke last.
    mutating func update(at now: Instant) -> Bool {
        guard self.speakers.update(at: now) else { return false }
        self.hasNewRoles = true
        let recent = self.speakers.speakers
        // The leader is first and so the last to be entered: of two that began together it spoke last.
        let begun = recent.reversed().filter { id in
            !self.previous.contains(id) || (id == self.speakers.dominant && id != self.leader)
        }
        for id in begun { self.lastN.spoke(id) }
        self.previous = Set(recent)
        self.leader = self.speakers.dominant
        return !begun.isEmpty
    }

    mutating func showsCamera(_ participant: ParticipantID, _ isThere: Bool) {
        if isThere { self.lastN.join(participant) } else { self.lastN.leave(participant) }
    }

    /// Who speaks now: the leader of the conversation first, then the latest to begin.
    func current(at now: Instant) -> [SpeakerLevel] {
        self.speakers.speakers.compactMap { id in
            guard let voice = self.voices[id], let loudAt = voice.loudAt, now - loudAt < Self.pause else { return nil }
            return SpeakerLevel(participant: id, level: Self.linear(voice.level))
        }
    }

    /// The leader keeps its part until somebody else takes over, however long it is silent.
    func role(of participant: ParticipantID) -> SpeechRole {
        if participant == self.speakers.dominant { return .active }
        return self.previous.contains(participant) ? .recent : .silent
    }

    /// Those who have another role than the worker was told, which it is told now.
    mutating func takeNewRoles() -> [(participant: ParticipantID, role: SpeechRole)] {
        guard self.hasNewRoles else { return [] }
        self.hasNewRoles = false
        var changed: [(participant: ParticipantID, role: SpeechRole)] = []
        let silenced = self.roles.keys.filter { self.role(of: $0) == .silent }.sorted { $0.value < $1.value }
        for id in silenced + self.speakers.speakers {
            let role = self.role(of: id)
            guard role != self.roles[id] ?? .silent else { continue }
            self.roles[id] = role == .silent ? nil : role
            changed.append((id, role))
        }
        return changed
    }

    /// Whether time alone will change something.
    var needsTime: Bool { !self.previous.isEmpty }

    /// Whether reports of the worker move it on, which come every 100 ms as long as anybody sends sound.
    func isFed(at now: Instant) -> Bool { self.heardAt.map { now - $0 < .milliseconds(250) } ?? false }

    /// 10^(level / -20) in steps of 1 dB, to three digits.
    private static func linear(_ level: UInt8) -> Double {
        var value = 1.0
        for _ in 0..<min(level, 127) { value *= 0.891_250_938_1 }
        return (value * 1_000).rounded() / 1_000
    }
}
