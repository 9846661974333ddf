package import Basics
package import Negotiation

/// What the operator sets for all rooms; a reload takes effect at the next join or offer.
package struct RoomSettings: Sendable, Equatable {
    /// Per room, subscribers by WHEP included; 0 = no limit.
    package var maxParticipants: Int
    /// How long a room without participants is kept.
    package var emptyTimeout: Nanoseconds
    /// In order of preference.
    package var codecs: [Codec]
    package var maxTracksPerParticipant: Int
    /// What one subscriber is sent at most; `nil` = no cap.
    package var maxBitratePerParticipant: Bitrate?
    /// Rooms of the whole server.
    package var maxRooms: Int
    /// How long the media of a lost WebSocket waits for `resume`.
    package var resumeTimeout: Nanoseconds
    /// Of how many others each participant is sent the camera at most: those who spoke last; `nil` = of all.
    package var lastN: Int?

    package init(
        maxParticipants: Int = 0,
        emptyTimeout: Nanoseconds = .seconds(60),
        codecs: [Codec] = [.opus, .vp8, .vp9, .h264, .av1],
        maxTracksPerParticipant: Int = 32,
        maxBitratePerParticipant: Bitrate? = nil,
        maxRooms: Int = 10_000,
        resumeTimeout: Nanoseconds = .seconds(15),
        lastN: Int? = nil
    ) {
        self.maxParticipants = maxParticipants
        self.emptyTimeout = emptyTimeout
        self.codecs = codecs
        self.maxTracksPerParticipant = maxTracksPerParticipant
        self.maxBitratePerParticipant = maxBitratePerParticipant
        self.maxRooms = maxRooms
        self.resumeTimeout = resumeTimeout
        self.lastN = lastN
    }
}
