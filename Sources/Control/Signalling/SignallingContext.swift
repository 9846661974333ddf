import Basics
import Logging
import Rooms

/// What every connection of the public listener works with.
struct SignallingContext: Sendable {
    let directory: RoomDirectory
    let accessControl: AccessControl
    let settings: LiveSettings
    let joins = AddressLimiter()
    let told = ToldEvents()
    /// By identity.
    let iceServers: @Sendable (String) -> [ICEServer]
    let version: String
    let corsOrigins: [String]
    let now: @Sendable () -> Instant
    let logger: Logger

    func access(token: String?, room: String?) async throws(RoomError) -> Access {
        do throws(TokenError) {
            return try await self.accessControl.check(token: token, room: room)
        } catch {
            throw RoomError(error == .otherRoom ? .forbidden : .unauthorized, error.message)
        }
    }
}
