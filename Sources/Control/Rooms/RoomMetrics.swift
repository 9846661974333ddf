package import Basics
import Metrics

/// What is in one room, for the gauges. Summed over all rooms: no label ever names one.
package struct RoomCounts: Sendable, Equatable {
    package struct TrackKey: Hashable, Sendable {
        package enum Direction: String, Sendable, CaseIterable { case published, forwarded }
        package var direction: Direction
        package var kind: MediaKind
    }

    package var rooms = 0
    package var participants = 0
    package var sessions: [SessionKind: Int] = [:]
    package var tracks: [TrackKey: Int] = [:]

    static func + (lhs: Self, rhs: Self) -> Self {
        var sum = lhs
        sum.rooms += rhs.rooms
        sum.participants += rhs.participants
        sum.sessions.merge(rhs.sessions, uniquingKeysWith: +)
        sum.tracks.merge(rhs.tracks, uniquingKeysWith: +)
        return sum
    }

    func record() {
        Gauge(label: "sluice_rooms").record(self.rooms)
        Gauge(label: "sluice_participants").record(self.participants)
        for kind in SessionKind.allCases {
            Gauge(label: "sluice_sessions", dimensions: [("kind", kind.rawValue)]).record(self.sessions[kind] ?? 0)
        }
        for direction in TrackKey.Direction.allCases {
            for kind in MediaKind.allCases {
                let dimensions = [("direction", direction.rawValue), ("kind", kind.name)]
                let count = self.tracks[TrackKey(direction: direction, kind: kind)] ?? 0
                Gauge(label: "sluice_tracks", dimensions: dimensions).record(count)
            }
        }
    }
}

extension Room {
    var counts: RoomCounts {
        var counts = RoomCounts()
        counts.rooms = 1
        for participant in self.participants.values {
            if !participant.isHidden { counts.participants += 1 }
            guard let negotiation = participant.negotiation else { continue }
            counts.sessions[participant.kind, default: 0] += 1
            for track in negotiation.bindings.values {
                guard let kind = self.tracks[track]?.info.kind else { continue }
                counts.tracks[.init(direction: .forwarded, kind: kind), default: 0] += 1
            }
        }
        for track in self.tracks.values {
            counts.tracks[.init(direction: .published, kind: track.info.kind), default: 0] += 1
        }
        return counts
    }
}
