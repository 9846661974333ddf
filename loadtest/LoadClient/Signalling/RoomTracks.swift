/// What a participant knows of the tracks of its room, from what the server says.
package struct RoomTracks: Sendable {
    /// Something to do about it.
    package enum Change: Sendable, Equatable {
        /// Whether packets are to come on an m-line.
        case state(mid: String, StreamReport.State)
        /// A track was bound to an m-line.
        case bound(trackID: String)
    }

    private struct Track: Sendable {
        var owner: String?
        var mid: String?
        var isMuted = false
        /// Held back by the server.
        var isPaused = false

        var state: StreamReport.State { self.isMuted || self.isPaused ? .paused : .flowing }
    }

    private var tracks: [String: Track] = [:]
    private var own: String?
    /// Of the tracks that this participant publishes: the ids by mid.
    package private(set) var published: [String: String] = [:]
    /// Errors that answered no request.
    package private(set) var errors: [String] = []

    package init() {}

    /// Takes a message of the server.
    package mutating func receive(_ message: SignalMessage) -> [Change] {
        guard let payload = message.payload else { return [] }
        switch message.type {
        case "joined":
            self.own = payload.participantId
            for participant in payload.participants ?? [] { _ = self.note(participant) }
        case "participantJoined", "participantChanged":
            if let participant = payload.participant { return self.note(participant) }
        case "participantLeft":
            guard let id = payload.participantId else { return [] }
            return self.tracks.filter { $0.value.owner == id }.keys.sorted().flatMap { self.remove($0) }
        case "trackPublished":
            guard let track = payload.track, let owner = payload.participantId else { return [] }
            if let mid = payload.mid, owner == self.own { self.published[mid] = track.id }
            return self.note(track, owner: owner)
        case "trackUnpublished": if let id = payload.trackId { return self.remove(id) }
        case "subscribed":
            if let id = payload.trackId, let mid = payload.mid { return self.bind(id, to: mid) }
        case "answer": return (payload.bindings ?? []).flatMap { self.bind($0.trackId, to: $0.mid) }
        case "layer":
            guard let id = payload.trackId, let isPaused = payload.paused else { return [] }
            self.tracks[id, default: Track()].isPaused = isPaused
            return self.state(of: id)
        case "error": if message.id == nil { self.errors.append(payload.message ?? "") }
        default: break
        }
        return []
    }

    private mutating func note(_ participant: SignalMessage.Participant) -> [Change] {
        (participant.tracks ?? []).flatMap { self.note($0, owner: participant.id) }
    }

    private mutating func note(_ track: SignalMessage.Track, owner: String) -> [Change] {
        self.tracks[track.id, default: Track()].owner = owner
        guard let isMuted = track.muted, isMuted != self.tracks[track.id]?.isMuted else { return [] }
        self.tracks[track.id]?.isMuted = isMuted
        return self.state(of: track.id)
    }

    private mutating func bind(_ id: String, to mid: String) -> [Change] {
        guard self.tracks[id]?.mid != mid else { return [] }
        self.tracks[id, default: Track()].mid = mid
        return [.bound(trackID: id)] + self.state(of: id)
    }

    private mutating func remove(_ id: String) -> [Change] {
        guard let mid = self.tracks.removeValue(forKey: id)?.mid else { return [] }
        return [.state(mid: mid, .unbound)]
    }

    private func state(of id: String) -> [Change] {
        guard let track = self.tracks[id], let mid = track.mid else { return [] }
        return [.state(mid: mid, track.state)]
    }
}
