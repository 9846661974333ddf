import MediaControl
import Synchronization

/// What waits for each room. The order within a room is kept.
///
/// Bounded: of what tells a state only the last one waits (`supersedes`), and the rest comes once or twice in the life
/// of a session.
final class RoomInboxes<Item: RoomInboxItem>: Sendable {
    /// A room is in it as long as somebody works through what waits for it.
    private let inboxes = Mutex<[ObjectIdentifier: [Item]]>([:])

    /// Returns whether the caller has to see to it that `next` is called until it returns `nil`.
    func post(_ item: Item, to room: Room) -> Bool {
        self.inboxes.withLock { inboxes in
            let id = ObjectIdentifier(room)
            let isFirst = inboxes[id] == nil
            if let key = item.supersedes { inboxes[id]?.removeAll { $0.supersedes == key } }
            inboxes[id, default: []].append(item)
            return isFirst
        }
    }

    func next(for room: Room) -> Item? {
        self.inboxes.withLock { inboxes in
            let id = ObjectIdentifier(room)
            guard inboxes[id]?.isEmpty == false else {
                inboxes[id] = nil
                return nil
            }
            return inboxes[id]?.removeFirst()
        }
    }
}

protocol RoomInboxItem: Sendable {
    associatedtype Key: Equatable

    /// Two items with one key tell the same thing, and the later one is right; `nil` = each has to be taken.
    var supersedes: Key? { get }
}

/// What an event tells the state of.
enum MediaEventTopic: Equatable {
    case layers(PublishedTrack), selection(SectionReference), wantedLayers(PublishedTrack), audio
}

extension MediaEvent: RoomInboxItem {
    var supersedes: MediaEventTopic? {
        switch self {
        case .connected, .ended, .firstMedia: nil
        case .layersChanged(let track, _, _): .layers(track)
        case .selectionChanged(let section, _): .selection(section)
        case .layersWanted(let track, _): .wantedLayers(track)
        case .audioActivity: .audio
        }
    }
}
