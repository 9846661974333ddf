import Rooms
import Synchronization

/// What a room has told last, as a message: a room tells everybody the same, one after the other, and it is written once.
final class ToldEvents: Sendable {
    private struct Told {
        var event: RoomEvent
        var message: ServerMessage
        var bytes: [UInt8]
    }

    private let last = Mutex<Told?>(nil)

    /// `nil` for what ends the connection.
    func message(of event: RoomEvent) -> (ServerMessage, [UInt8])? {
        guard Self.isForMany(event) else { return ServerMessage(event).map { ($0, $0.bytes) } }
        if let told = self.last.withLock({ $0 }), told.event == event { return (told.message, told.bytes) }
        guard let message = ServerMessage(event) else { return nil }
        let bytes = message.bytes
        self.last.withLock { $0 = Told(event: event, message: message, bytes: bytes) }
        return (message, bytes)
    }

    private static func isForMany(_ event: RoomEvent) -> Bool {
        switch event {
        case .participantJoined, .participantLeft, .participantChanged, .trackPublished, .trackUnpublished,
            .activeSpeakers, .quality, .draining:
            true
        case .subscribed, .layer, .bitrateHint, .layersWanted, .relayed, .removed, .resumedElsewhere: false
        }
    }
}
