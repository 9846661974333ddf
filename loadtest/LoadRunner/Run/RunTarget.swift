package import Basics
package import LoadClient

/// Which server is loaded, and how to get at it.
package struct RunTarget: Sendable {
    package var server: ServerAddress
    /// Where its `/metrics` is.
    package var metrics: ServerAddress?
    package var token: String?
    package var acceptsAnyCertificate = false
    /// That the clients' UDP sockets are bound to.
    package var bind: TransportAddress
    /// ROOM and IDENTITY are filled in.
    package var whipPath = "/whip/ROOM/IDENTITY"
    package var whepPath = "/whep/ROOM/IDENTITY"
    /// Rooms are called so, with a number.
    package var roomPrefix = "load"

    package init(server: ServerAddress, metrics: ServerAddress?, bind: TransportAddress) {
        self.server = server
        self.metrics = metrics
        self.bind = bind
    }

    var whip: WHIPClient {
        WHIPClient(server: self.server, token: self.token, acceptsAnyCertificate: self.acceptsAnyCertificate)
    }
}
