import Basics
import HTTPTypes
import Hummingbird
import NIOCore
import Rooms

/// WHIP (RFC 9725) or WHEP (draft-ietf-wish-whep): a peer connection by one HTTP request. The two differ in who they are
/// in the room, and in nothing here.
struct StreamEndpoint: Sendable {
    let kind: SessionKind
    let context: SignallingContext
    let resources = StreamResources()

    private static let sdpType = "application/sdp"
    private static let fragmentType = "application/trickle-ice-sdpfrag"

    func addRoutes(to router: Router<HTTPContext>) {
        for path in ["/\(self.kind.rawValue)/{room}", "/\(self.kind.rawValue)/{room}/{identity}"] {
            router.on(RouterPath(path), method: .post) { try await self.post($0, $1) }
            router.on(RouterPath(path), method: .options) { _, _ in
                Response(status: .noContent, headers: [.acceptPost: Self.sdpType, .allow: "POST, OPTIONS"])
            }
            self.refuse([.get, .head, .put, .patch, .delete], at: path, allow: "POST, OPTIONS", in: router)
        }
        let path = "/v1/\(self.kind.rawValue)/{id}"
        router.on(RouterPath(path), method: .patch) { try await self.patch($0, $1) }
        router.on(RouterPath(path), method: .delete) { try await self.delete($0, $1) }
        router.on(RouterPath(path), method: .options) { _, _ in
            Response(status: .noContent, headers: [.acceptPatch: Self.fragmentType, .allow: "PATCH, DELETE, OPTIONS"])
        }
        self.refuse([.get, .head, .put, .post], at: path, allow: "PATCH, DELETE, OPTIONS", in: router)
    }

    /// RFC 9725 §4.2: the methods that have no meaning are answered with 405.
    private func refuse(_ methods: [HTTPRequest.Method], at path: String, allow: String, in router: Router<HTTPContext>)
    {
        for method in methods {
            router.on(RouterPath(path), method: method) { _, _ -> Response in
                throw Problem(.methodNotAllowed, "the method is not for this resource", headers: [.allow: allow])
            }
        }
    }

    // MARK: POST

    private func post(_ request: Request, _ context: HTTPContext) async throws -> Response {
        do {
            let response = try await self.open(request, context)
            SignallingMetrics.join(self.kind, result: "ok")
            return response
        } catch let error as RoomError {
            SignallingMetrics.join(self.kind, result: error.code.rawValue)
            throw error
        }
    }

    private func open(_ request: Request, _ context: HTTPContext) async throws -> Response {
        try Self.require(Self.sdpType, of: request, header: .acceptPost)
        guard Self.accepts(Self.sdpType, request) else {
            throw Problem(.notAcceptable, "the answer is application/sdp")
        }
        guard let room = context.pathParameter("room"), RoomID.isValidName(room) else {
            throw RoomError(.badMessage, "a room's name has 1 to 128 bytes and no control characters")
        }
        let limit = self.context.settings.limits.joinsPerSecondPerAddress
        guard self.context.joins.admit(context.remoteAddress, perSecond: limit, at: self.context.now()) else {
            throw RoomError(.rateLimited, "more than \(limit) joins a second from this address")
        }
        let access = try await self.context.access(token: Self.bearer(request), room: room)
        let offer = try await self.body(of: request)

        let id = RandomIdentifiers.token()
        let resources = self.resources
        var join = try self.joinRequest(access, pathIdentity: context.pathParameter("identity"))
        join.onRemoved = { [accessControl = self.context.accessControl] in accessControl.revoke(access.credential) }
        let (joined, answer) = try await self.context.directory.join(RoomID(room), join, offer: offer) { event in
            if case .removed = event { resources.end(id) }
            return true
        }
        let resource = StreamResources.Resource(
            kind: self.kind,
            room: joined.room,
            participant: joined.participant,
            subject: access.subject,
            entityTag: StreamResources.newEntityTag()
        )
        self.resources.insert(resource, id: id)
        var headers: HTTPFields = [
            .contentType: Self.sdpType, .location: "/v1/\(self.kind.rawValue)/\(id)", .eTag: resource.entityTag,
            .acceptPatch: Self.fragmentType, .cacheControl: "no-store",
        ]
        for link in self.context.iceServers(joined.identity).flatMap(\.links) {
            headers.append(HTTPField(name: .link, value: link))
        }
        return Response(status: .created, headers: headers, body: Self.body(answer.sdp))
    }

    private func joinRequest(_ access: Access, pathIdentity: String?) throws(RoomError) -> JoinRequest {
        if let pathIdentity, pathIdentity.utf8.count > JoinRequest.maxNameBytes {
            throw RoomError(.badMessage, "an identity has at most \(JoinRequest.maxNameBytes) bytes")
        }
        var grants = access.grants
        let made = "\(self.kind.rawValue)-\(RandomIdentifiers.token(8))"
        switch self.kind {
        case .whep:
            guard grants.subscribe else { throw RoomError(.forbidden, "the token does not allow subscribing") }
            grants.publish = false
            return JoinRequest(
                kind: .whep,
                identity: access.identity ?? made,
                isIdentityAsserted: access.identity != nil,
                grants: grants,
                publisherIdentity: pathIdentity.flatMap { $0.isEmpty ? nil : $0 }
            )
        case .whip, .websocket:
            guard grants.publish else { throw RoomError(.forbidden, "the token does not allow publishing") }
            return JoinRequest(
                kind: .whip,
                identity: access.identity ?? pathIdentity.flatMap { $0.isEmpty ? nil : $0 } ?? made,
                isIdentityAsserted: access.identity != nil,
                name: access.name ?? "",
                metadata: access.metadata ?? .null,
                grants: grants,
                autoSubscribe: false
            )
        }
    }

    // MARK: PATCH and DELETE

    private func patch(_ request: Request, _ context: HTTPContext) async throws -> Response {
        let (id, resource) = try await self.resource(request, context)
        guard !resource.hasEnded else { throw Problem(.notFound, "the session is over") }
        try Self.require(Self.fragmentType, of: request, header: .acceptPatch)
        guard let condition = request.headers[.ifMatch] else {
            throw Problem(.preconditionRequired, "PATCH needs If-Match with the entity tag, or * for an ICE restart")
        }
        let tags = condition.split(separator: ",").map { $0.filter { $0 != " " } }
        // In quotes it is as the drafts' own example has it; no tag of ours is that.
        guard tags.contains("*") || tags.contains("\"*\"") || tags.contains(resource.entityTag) else {
            throw Problem(.preconditionFailed, "the entity tag is of an ICE session that is over")
        }
        let text = try await self.body(of: request)
        guard let reply = try await resource.room.receive(fragment: text, from: resource.participant) else {
            return Response(status: .noContent, headers: [.eTag: resource.entityTag])
        }
        let headers: HTTPFields = [
            .contentType: Self.fragmentType, .eTag: self.resources.renew(id), .cacheControl: "no-store",
        ]
        return Response(status: .ok, headers: headers, body: Self.body(reply))
    }

    private func delete(_ request: Request, _ context: HTTPContext) async throws -> Response {
        let (id, resource) = try await self.resource(request, context)
        if !resource.hasEnded { await resource.room.leave(resource.participant) }
        self.resources.remove(id)
        return Response(status: .ok)
    }

    /// The session of this URL, for the one whose token opened it: to everybody else it is not there (ATTACKS A-74).
    private func resource(
        _ request: Request,
        _ context: HTTPContext
    ) async throws -> (id: String, resource: StreamResources.Resource) {
        let notFound = Problem(.notFound, "no such session")
        guard let id = context.pathParameter("id") else { throw notFound }
        let resource = self.resources.find(id, kind: self.kind)
        let access: Access
        do throws(RoomError) {
            access = try await self.context.access(token: Self.bearer(request), room: resource?.room.id.value)
        } catch { throw error.code == .forbidden ? notFound : Problem(error) }
        guard let resource, access.subject == resource.subject else { throw notFound }
        return (id, resource)
    }

    // MARK: Parts of requests

    static func bearer(_ request: Request) -> String? {
        guard let field = request.headers[.authorization] else { return nil }
        let parts = field.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return "" }
        return String(parts[1])
    }

    private static func require(_ type: String, of request: Request, header: HTTPField.Name) throws(Problem) {
        guard Self.mediaType(request.headers[.contentType] ?? "") == type else {
            throw Problem(.unsupportedMediaType, "the body is \(type)", headers: [header: type])
        }
    }

    private static func accepts(_ type: String, _ request: Request) -> Bool {
        guard let accept = request.headers[.accept] else { return true }
        return accept.split(separator: ",").contains { range in
            let range = Self.mediaType(range)
            return range == "*/*" || range == type || range == "application/*"
        }
    }

    private static func mediaType(_ field: some StringProtocol) -> String {
        String(field.prefix { $0 != ";" }).filter { $0 != " " }.lowercased()
    }

    private func body(of request: Request) async throws -> String {
        let limit = self.context.settings.limits.messageBytes
        let buffer: ByteBuffer
        do { buffer = try await request.body.collect(upTo: limit) } catch is NIOTooManyBytesError {
            throw Problem(.contentTooLarge, "the body is larger than \(limit) bytes")
        }
        guard let text = String(validating: buffer.readableBytesView, as: UTF8.self) else {
            throw RoomError(.sdpInvalid, "the body is not UTF-8")
        }
        return text
    }

    private static func body(_ text: String) -> ResponseBody { ResponseBody(byteBuffer: ByteBuffer(string: text)) }
}

extension HTTPField.Name {
    /// RFC 5023's `Accept-Post` as RFC 9725 §4.2 uses it.
    static let acceptPost = HTTPField.Name("Accept-Post") ?? .accept
    static let link = HTTPField.Name("Link") ?? .accept
    static let acceptPatch = HTTPField.Name("Accept-Patch") ?? .accept
}
