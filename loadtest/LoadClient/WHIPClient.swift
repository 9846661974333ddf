import HTTPTypes

/// WHIP and WHEP as a client speaks them (RFC 9725, draft-ietf-wish-whep): the same exchange at two paths.
package struct WHIPClient: Sendable {
    package let server: ServerAddress
    package let token: String?
    package let acceptsAnyCertificate: Bool
    /// Servers that send on to the least loaded of them do it once.
    private static let mostRedirections = 5

    package init(server: ServerAddress, token: String? = nil, acceptsAnyCertificate: Bool = false) {
        self.server = server
        self.token = token
        self.acceptsAnyCertificate = acceptsAnyCertificate
    }

    /// A session that the server has made.
    package struct Session: Sendable {
        /// Where it is, which is elsewhere after a redirection.
        package let server: ServerAddress
        /// The path to DELETE.
        package let location: String
        package let answer: String
    }

    /// - Parameter path: such as `/whip/ROOM/IDENTITY`.
    package func post(offer: String, to path: String) async throws -> Session {
        var place = Place(server: self.server, path: path)
        for _ in 0...Self.mostRedirections {
            var request = self.request(.post, place.path)
            request.headerFields[.contentType] = "application/sdp"
            let answer = try await self.send(request, body: offer, to: place.server)
            let location = answer.response.headerFields[.location].flatMap { place.resolving($0) }
            switch (answer.response.status.code, location) {
            case (201, let location?):
                return Session(server: location.server, location: location.path, answer: answer.body)
            // The offer goes along (RFC 9110 §15.4.8, §15.4.9).
            case (307, let location?), (308, let location?): place = location
            case (201, nil):
                throw LoadClientError.badAnswer("HTTP 201 without a Location: nobody could end the session")
            case (let status, _):
                throw LoadClientError.refused(status: status, body: String(answer.body.prefix(300)))
            }
        }
        throw LoadClientError.badAnswer("more than \(Self.mostRedirections) redirections, the last to \(place.path)")
    }

    package func delete(_ session: Session) async throws {
        let answer = try await self.send(self.request(.delete, session.location), body: "", to: session.server)
        guard answer.response.status.kind == .successful else {
            throw LoadClientError.refused(status: answer.response.status.code, body: String(answer.body.prefix(300)))
        }
    }

    private func request(_ method: HTTPRequest.Method, _ path: String) -> HTTPRequest {
        HTTPRequest(method: method, scheme: nil, authority: nil, path: path)
    }

    private func send(
        _ request: HTTPRequest,
        body: String,
        to server: ServerAddress
    ) async throws -> HTTPExchange.Answer {
        var request = request
        if let token, self.trusts(server) { request.headerFields[.authorization] = "Bearer \(token)" }
        return try await HTTPExchange.send(
            request,
            body: body,
            to: server,
            acceptsAnyCertificate: self.acceptsAnyCertificate
        )
    }

    /// Whether a server that this one has sent us to gets the token: where it can be read on the way only if it could
    /// before.
    package func trusts(_ server: ServerAddress) -> Bool { server.isSecure || !self.server.isSecure }

    /// Where a request goes.
    package struct Place: Sendable, Equatable {
        package var server: ServerAddress
        package var path: String

        package init(server: ServerAddress, path: String) {
            self.server = server
            self.path = path
        }

        /// A Location may be a whole URL, a path, or a path from here (RFC 9110 §10.2.2, RFC 3986 §5.2); `nil` when it is none.
        package func resolving(_ location: String) -> Place? {
            guard !location.isEmpty else { return nil }
            if let scheme = location.firstRange(of: "://"), location[..<scheme.lowerBound].allSatisfy(\.isLetter) {
                guard let server = ServerAddress(location) else { return nil }
                let rest = location[scheme.upperBound...]
                return Place(server: server, path: rest.firstIndex(of: "/").map { String(rest[$0...]) } ?? "/")
            }
            if location.hasPrefix("//") {
                return self.resolving((self.server.isSecure ? "https:" : "http:") + location)
            }
            if location.hasPrefix("/") { return Place(server: self.server, path: location) }
            // Beside the last part of this path, without its query.
            let base = self.path.prefix { $0 != "?" }
            var parts = base.split(separator: "/", omittingEmptySubsequences: false).dropLast().map(String.init)
            var rest = Substring(location)
            while true {
                if rest.hasPrefix("./") {
                    rest = rest.dropFirst(2)
                } else if rest.hasPrefix("../") {
                    rest = rest.dropFirst(3)
                    if parts.count > 1 { parts.removeLast() }
                } else {
                    break
                }
            }
            return Place(server: self.server, path: (parts + [String(rest)]).joined(separator: "/"))
        }
    }
}
