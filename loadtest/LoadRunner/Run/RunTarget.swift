package import Basics
import HTTPTypes
package import LoadClient

/// Which server is loaded, and how to get at it.
package struct RunTarget: Sendable {
    package var server: ServerAddress
    /// Where its `/metrics` is.
    package var metrics: ServerAddress?
    /// Of the server, on this machine: read in place of `metrics`.
    package var process: Int32?
    package var token: String?
    package var acceptsAnyCertificate = false
    /// That the clients' UDP sockets are bound to.
    package var bind: TransportAddress
    /// Whether the clients' sockets use UDP_GRO.
    package var readsMerged = true
    /// ROOM and IDENTITY are filled in.
    package var whipPath = "/whip/ROOM/IDENTITY"
    /// Without IDENTITY, a subscriber receives all publishers of its room on one session.
    package var whepPath = "/whep/ROOM/IDENTITY"
    /// Rooms are called so, with a number.
    package var roomPrefix = "load"

    package init(server: ServerAddress, metrics: ServerAddress?, bind: TransportAddress) {
        self.server = server
        self.metrics = metrics
        self.bind = bind
    }

    /// Whether anybody answers at the server's HTTP address, whatever the answer.
    package func isThere() async -> Bool {
        let request = HTTPRequest(method: .options, scheme: nil, authority: nil, path: "/")
        return
            (try? await HTTPExchange.send(
                request,
                to: self.server,
                acceptsAnyCertificate: self.acceptsAnyCertificate,
                timeout: .seconds(5)
            )) != nil
    }

    /// Whether the path of WHEP names no publisher.
    package var receivesAtOnce: Bool { !self.whepPath.contains("IDENTITY") }
    /// Where the server's figures come from, in words.
    var figuresSource: String? {
        switch self.figures {
        case .none: nil
        case .process(let number): "process \(number)"
        case .metrics(let server, _): "\(server)/metrics"
        }
    }

    var figures: ServerFigures? {
        if let process { return .process(process) }
        return self.metrics.map { .metrics($0, acceptsAnyCertificate: self.acceptsAnyCertificate) }
    }

    var whip: WHIPClient {
        WHIPClient(server: self.server, token: self.token, acceptsAnyCertificate: self.acceptsAnyCertificate)
    }
}
