import Basics
import HTTPTypes
import Hummingbird
import MediaControl
import NIOCore
import Rooms

/// The operator's view of rooms, participants and workers, below `/v1`.
struct AdminAPI: Sendable {
    let directory: RoomDirectory
    let drain: DrainController

    private static let maxBodyBytes = 4_096

    func addRoutes(to api: RouterGroup<BasicRequestContext>) {
        let participant = "/rooms/{room}/participants/{participant}"
        api.resource("/rooms", [(.get, { _, _ in try await self.rooms() })])
        api.resource(
            "/rooms/{room}",
            [
                (.get, { try await self.room($1) }), (.put, { try await self.configureRoom($0, $1) }),
                (.delete, { try await self.closeRoom($1) }),
            ]
        )
        api.resource(
            RouterPath(participant),
            [(.get, { try await self.participant($1) }), (.delete, { try await self.remove($1) })]
        )
        api.resource(RouterPath(participant + "/mute"), [(.post, { try await self.mute($0, $1) })])
        api.resource(RouterPath(participant + "/sdp"), [(.get, { try await self.sdp($1) })])
        api.resource("/drain", [(.post, { _, _ in await self.beginDraining() })])
        api.resource("/workers", [(.get, { _, _ in try await self.workers() })])
    }

    private func beginDraining() async -> Response {
        let deadline = WallClock.text(secondsSince1970: await self.drain.drainInBackground())
        return JSONResponse.make(["deadline": .string(deadline)], status: .accepted)
    }

    // MARK: Rooms

    private func rooms() async throws -> Response {
        var list: [JSONValue] = []
        for room in await self.directory.all {
            let reports = await room.visibleParticipants
            list.append([
                "id": .string(room.id.value), "worker": JSONValue(room.workerIndex),
                "participants": JSONValue(await room.participantCount),
                "tracks": JSONValue(reports.reduce(0) { $0 + $1.tracks.count }),
            ])
        }
        return JSONResponse.make(["rooms": .array(list)])
    }

    private func room(_ context: BasicRequestContext) async throws -> Response {
        let room = try await self.findRoom(context)
        let participants = await room.reports().map(Self.summary)
        return JSONResponse.make([
            "id": .string(room.id.value), "worker": JSONValue(room.workerIndex), "participants": .array(participants),
            "lastN": JSONValue(await room.lastN ?? -1),
        ])
    }

    /// `{lastN?}`: sets the options of a room, and makes the room if there is none; an empty one goes after
    /// `rooms.emptyTimeout` as usual.
    private func configureRoom(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let name = context.parameters.get("room").flatMap(PercentEncoding.decode) ?? ""
        guard RoomID.isValidName(name) else {
            throw RoomError(.badMessage, "a room's name has 1 to 128 bytes and no control characters")
        }
        let body = try await self.body(of: request)
        guard let count = (body["lastN"] ?? -1).integerValue, -1...1_000 ~= count else {
            throw RoomError(.badMessage, "'lastN' is a number from 0 to 1000, or -1 for all")
        }
        let (room, isNew) = try await self.directory.make(RoomID(name))
        if body["lastN"] != nil { await room.setLastN(count < 0 ? nil : Int(count)) }
        return Response(status: isNew ? .created : .noContent)
    }

    private func closeRoom(_ context: BasicRequestContext) async throws -> Response {
        let room = try await self.findRoom(context)
        _ = await self.directory.close(room.id)
        return Response(status: .noContent)
    }

    // MARK: Participants

    private func participant(_ context: BasicRequestContext) async throws -> Response {
        let (room, id) = try await self.findParticipant(context)
        let report = try await room.report(of: id)
        var json = Self.summary(report).objectValue ?? [:]
        json["stats"] = report.statisticsJSON
        return JSONResponse.make(.object(json))
    }

    private func remove(_ context: BasicRequestContext) async throws -> Response {
        let (room, id) = try await self.findParticipant(context)
        try await room.remove(id)
        return Response(status: .noContent)
    }

    /// `{trackId?, muted?}`: without a track all of the participant's; `muted` is true unless it says false.
    private func mute(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let (room, id) = try await self.findParticipant(context)
        let body = try await self.body(of: request)
        guard let isMuted = (body["muted"] ?? true).boolValue else {
            throw RoomError(.badMessage, "'muted' is true or false")
        }
        let own = try await room.report(of: id).participant.tracks.map(\.id.value)
        let wanted = body["trackId"].map { [$0.stringValue ?? ""] } ?? own
        for track in wanted {
            guard own.contains(track) else { throw RoomError(.noSuchTrack, "no such track of this participant") }
            try await room.mute(track, muted: isMuted, by: nil)
        }
        return Response(status: .noContent)
    }

    /// A JSON object; an empty one where there is no body.
    private func body(of request: Request) async throws -> JSONValue {
        let buffer: ByteBuffer
        do { buffer = try await request.body.collect(upTo: Self.maxBodyBytes) } catch is NIOTooManyBytesError {
            throw HTTPError(.contentTooLarge, message: "the body is larger than \(Self.maxBodyBytes) bytes")
        }
        guard buffer.readableBytes > 0 else { return [:] }
        do throws(JSONError) { return try JSONValue(parsing: Array(buffer.readableBytesView)) } catch {
            throw RoomError(.badMessage, "the body is no JSON: \(error)")
        }
    }

    private func sdp(_ context: BasicRequestContext) async throws -> Response {
        let (room, id) = try await self.findParticipant(context)
        let report = try await room.report(of: id)
        return JSONResponse.make(["offer": .string(report.lastOffer), "answer": .string(report.lastAnswer)])
    }

    // MARK: Workers

    private func workers() async throws -> Response {
        let rooms = await self.directory.all
        let list = self.directory.allWorkers.map { worker -> JSONValue in
            let candidates = worker.endpoint.candidates.map { JSONValue.string("\($0)") }
            return [
                "index": JSONValue(worker.index), "candidates": .array(candidates),
                "rooms": JSONValue(rooms.count { $0.workerIndex == worker.index }),
            ]
        }
        return JSONResponse.make(["workers": .array(list)])
    }

    // MARK: Parts of paths

    private func findRoom(_ context: BasicRequestContext) async throws -> Room {
        let name = context.parameters.get("room").flatMap(PercentEncoding.decode) ?? ""
        guard let room = await self.directory.room(RoomID(name)) else {
            throw HTTPError(.notFound, message: "no such room")
        }
        return room
    }

    /// By id, or by identity where only one participant has it.
    private func findParticipant(_ context: BasicRequestContext) async throws -> (Room, ParticipantID) {
        let room = try await self.findRoom(context)
        let name = context.parameters.get("participant").flatMap(PercentEncoding.decode) ?? ""
        guard let id = await room.find(name) else { throw HTTPError(.notFound, message: "no such participant") }
        return (room, id)
    }

    private static func summary(_ report: ParticipantReport) -> JSONValue {
        var json = report.participant.json.objectValue ?? [:]
        json["kind"] = .string(report.kind.rawValue)
        json["session"] = report.session.map { .string($0.description) } ?? .null
        json["connected"] = .bool(report.statistics?.transport.connected ?? false)
        json["subscriptions"] = .array(
            report.bindings.sorted { $0.key < $1.key }.map {
                ["mid": .string($0.key), "trackId": .string($0.value.value)]
            }
        )
        return .object(json)
    }
}
