/// Why a room, or the signalling before it, refused a request. The codes are those of the signalling protocol.
package struct RoomError: Error, Equatable, Sendable {
    package enum Code: String, Sendable, CaseIterable {
        case badMessage, unauthorized, forbidden, roomFull, noSuchTrack, noSuchParticipant, sdpInvalid, sdpUnsupported
        case rateLimited, draining, `internal`
    }

    package var code: Code
    /// For a person. Holds nothing secret, and nothing of another participant.
    package var message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}
