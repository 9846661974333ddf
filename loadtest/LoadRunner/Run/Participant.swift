import Basics
import LoadClient

/// A place in a scenario, which one participant after the other may take.
struct Place: Sendable, Hashable {
    var room: Int
    /// In `Scenario.groups`.
    var group: Int
    /// Among the publishers, or among the subscribers, of the room.
    var number: Int
    var publishes: Bool
}

/// Somebody who joined.
final class Participant: Sendable {
    enum Connection: Sendable {
        case http(WHIPClient, WHIPClient.Session, PeerID)
        case webSocket(RoomMember)
    }

    let place: Place
    let loop: ClientLoop
    let connections: [Connection]

    init(place: Place, loop: ClientLoop, connections: [Connection]) {
        self.place = place
        self.loop = loop
        self.connections = connections
    }

    /// - Returns: whether the server was there to hear it.
    @discardableResult
    func leave() async -> Bool {
        var isHeard = false
        var isDeaf = false
        for connection in self.connections {
            switch connection {
            case .http(_, _, let peer) where isDeaf: self.loop.close(peer)
            case .http(let client, let session, let peer):
                await self.loop.beginToLeave(peer)
                // The server first: else it sees the peer's goodbye, and knows the session no more.
                do {
                    try await client.delete(session)
                    isHeard = true
                } catch LoadClientError.refused {
                    isHeard = true
                } catch {
                    // Each further one would be waited for as long.
                    isDeaf = true
                }
                self.loop.close(peer)
            case .webSocket(let member): if await member.leave() { isHeard = true }
            }
        }
        return isHeard
    }

    /// Speaks, or is silent in the way that the scenario says.
    func setSpeaking(_ isSpeaking: Bool, others: Scenario.Speakers.Others) {
        for connection in self.connections {
            switch connection {
            case .http(_, _, let peer): self.loop.setSilent(peer, !isSpeaking)
            case .webSocket(let member):
                if others == .muted {
                    member.setMuted(!isSpeaking)
                } else if let peer = member.peer {
                    self.loop.setSilent(peer, !isSpeaking)
                }
            }
        }
    }
}
