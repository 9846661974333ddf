package import Basics

/// Who speaks in a room, and who leads: decided so that the picture follows the conversation and not every noise.
///
/// A participant takes over after half a second of speech within one second, when the leader is silent or clearly less
/// loud, at most once a second. A silent leader stays until somebody else speaks. Feed the levels of all participants
/// every 100 ms (`report`), then call `update`.
package struct ActiveSpeakers<Key: Hashable & Sendable>: Sendable {
    /// Within a second; 200 ms of noise, or a cough, is not enough.
    private let takeOverSlots = 5
    /// To speak at all, and for the first leader.
    private let speechSlots = 3
    private let switchInterval = Nanoseconds.seconds(1)
    /// Talking over the leader takes so much more loudness.
    private let clearlyLouder: Float = 1.3
    /// Words in between pauses shorter than this are one turn.
    private let turnGap = Nanoseconds.seconds(2)
    private let recentTime: Nanoseconds
    private let maximumCount: Int

    /// In order of first being heard, so that ties are decided the same way each time.
    private var entries: [(key: Key, voice: SpeakerEntry)] = []
    private var indexes: [Key: Int] = [:]
    private var turnCount: UInt64 = 0
    private var switchedAt: Instant?
    /// Who leads the conversation; `nil` before anybody has spoken.
    package private(set) var dominant: Key?
    /// Who spoke lately: the leader first, then by whose turn began last.
    package private(set) var speakers: [Key] = []

    /// - Parameters:
    ///   - recentTime: for so long one counts among `speakers` after speaking.
    ///   - maximumCount: participants that are remembered; beyond it the one heard longest ago is forgotten.
    package init(recentTime: Nanoseconds = .seconds(5), maximumCount: Int = 1_000) {
        self.recentTime = recentTime
        self.maximumCount = max(maximumCount, 2)
    }

    /// Takes the mean level of one participant's audio over the last 100 ms. Several tracks of one participant are
    /// reported one after the other; the loudest counts.
    /// - Parameter level: 0 (loudest) to 127 (silence), in -dBov (RFC 6464).
    package mutating func report(_ key: Key, level: UInt8, at now: Instant) {
        if let index = self.indexes[key] {
            self.entries[index].voice.report(level: level, at: now)
            return
        }
        if self.entries.count >= self.maximumCount { self.forgetOne() }
        var voice = SpeakerEntry(at: now)
        voice.report(level: level, at: now)
        self.indexes[key] = self.entries.count
        self.entries.append((key, voice))
    }

    /// The participant left, or is muted for good.
    package mutating func remove(_ key: Key) {
        guard let index = self.indexes.removeValue(forKey: key) else { return }
        self.entries.remove(at: index)
        for later in index..<self.entries.count { self.indexes[self.entries[later].key] = later }
        self.speakers.removeAll { $0 == key }
        if self.dominant == key { self.dominant = nil }
    }

    /// Decides. Call every 100 ms, after the reports. Returns whether `dominant` or `speakers` is another now.
    @discardableResult
    package mutating func update(at now: Instant) -> Bool {
        for index in self.entries.indices { self.listen(to: index, at: now) }
        let previous = (self.dominant, self.speakers)
        self.elect(at: now)
        self.order(at: now)
        return previous.0 != self.dominant || previous.1 != self.speakers
    }

    private mutating func listen(to index: Int, at now: Instant) {
        var voice = self.entries[index].voice
        voice.advance(to: now)
        // The slot in work may have no report yet, so the last bit alone says nothing.
        if voice.recentSlots >= self.speechSlots, voice.history & 0b11 != 0 {
            let isNewTurn = voice.spokeAt.map { now - $0 > self.turnGap } ?? true
            voice.spokeAt = now
            if isNewTurn {
                self.turnCount &+= 1
                voice.turn = self.turnCount
            }
        }
        self.entries[index].voice = voice
    }

    private mutating func elect(at now: Instant) {
        if let switchedAt = self.switchedAt, now - switchedAt < self.switchInterval { return }
        let leader = self.dominant.flatMap { self.indexes[$0] }.map { self.entries[$0].voice }
        let slots = leader == nil ? self.speechSlots : self.takeOverSlots
        var best: (key: Key, voice: SpeakerEntry)?
        for entry in self.entries where entry.key != self.dominant && entry.voice.recentSlots >= slots {
            if let best, entry.voice.loudness <= best.voice.loudness { continue }
            best = entry
        }
        guard let best, best.voice.latestSlots > 0 else { return }
        if let leader, leader.latestSlots > 0, best.voice.loudness < leader.loudness * self.clearlyLouder { return }
        self.dominant = best.key
        self.switchedAt = now
    }

    private mutating func order(at now: Instant) {
        self.speakers = self.entries.filter { self.isRecent($0.voice, at: now) }
            .sorted { $0.voice.turn > $1.voice.turn }
            .map(\.key)
        if let dominant = self.dominant, let index = self.speakers.firstIndex(of: dominant) {
            self.speakers.remove(at: index)
            self.speakers.insert(dominant, at: 0)
        }
    }

    private func isRecent(_ entry: SpeakerEntry, at now: Instant) -> Bool {
        entry.spokeAt.map { now - $0 <= self.recentTime } ?? false
    }

    private mutating func forgetOne() {
        let oldest = self.entries.filter { $0.key != self.dominant }.min { $0.voice.slot < $1.voice.slot }
        if let oldest { self.remove(oldest.key) }
    }
}
