import HTTPTypes

/// WHIP and WHEP as a client speaks them (RFC 9725, draft-ietf-wish-whep): the same exchange at two paths.
package struct WHIPClient: Sendable {
    package let server: ServerAddress
    package let token: String?
    package let acceptsAnyCertificate: Bool

    package init(server: ServerAddress, token: String? = nil, acceptsAnyCertificate: Bool = false) {
        self.server = server
        self.token = token
        self.acceptsAnyCertificate = acceptsAnyCertificate
    }

    /// A session that the server has made.
    package struct Session: Sendable {
        /// The path to DELETE.
        package let location: String
        package let answer: String
    }

    /// - Parameter path: such as `/whip/ROOM/IDENTITY`.
    package func post(offer: String, to path: String) async throws -> Session {
        var request = self.request(.post, path)
        request.headerFields[.contentType] = "application/sdp"
        let answer = try await self.send(request, body: offer)
        guard answer.response.status == .created, let location = answer.response.headerFields[.location] else {
            throw LoadClientError.refused(status: answer.response.status.code, body: String(answer.body.prefix(300)))
        }
        return Session(location: Self.path(of: location), answer: answer.body)
    }

    package func delete(_ session: Session) async throws {
        let answer = try await self.send(self.request(.delete, session.location), body: "")
        guard answer.response.status.kind == .successful else {
            throw LoadClientError.refused(status: answer.response.status.code, body: String(answer.body.prefix(300)))
        }
    }

    private func request(_ method: HTTPRequest.Method, _ path: String) -> HTTPRequest {
        var request = HTTPRequest(method: method, scheme: nil, authority: nil, path: path)
        if let token { request.headerFields[.authorization] = "Bearer \(token)" }
        return request
    }

    private func send(_ request: HTTPRequest, body: String) async throws -> HTTPExchange.Answer {
        try await HTTPExchange.send(
            request,
            body: body,
            to: self.server,
            acceptsAnyCertificate: self.acceptsAnyCertificate
        )
    }

    /// A Location may be a whole URL (RFC 9110 §10.2.2).
    static func path(of location: String) -> String {
        guard let scheme = location.firstRange(of: "://") else { return location }
        let rest = location[scheme.upperBound...]
        guard let slash = rest.firstIndex(of: "/") else { return "/" }
        return String(rest[slash...])
    }
}
