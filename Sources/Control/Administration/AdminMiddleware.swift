import Basics
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Rooms

/// Asks for the admin token where one is set.
struct AdminTokenMiddleware: RouterMiddleware {
    let token: Redacted<String>?

    @concurrent func handle(
        _ request: Request,
        context: BasicRequestContext,
        next: @concurrent (Request, BasicRequestContext) async throws -> Response
    ) async throws -> Response {
        guard let token = self.token else { return try await next(request, context) }
        let parts = (request.headers[.authorization] ?? "").split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer",
            constantTimeEqual(Array(parts[1].utf8), Array(token.value.utf8))
        else { throw RoomError(.unauthorized, "the admin token is needed") }
        return try await next(request, context)
    }
}

/// Turns every error into a problem document (RFC 9457).
struct AdminErrorMiddleware: RouterMiddleware {
    @concurrent func handle(
        _ request: Request,
        context: BasicRequestContext,
        next: @concurrent (Request, BasicRequestContext) async throws -> Response
    ) async throws -> Response {
        var response = await Self.respond(request, context, next)
        // The answer to HEAD ends with its header (RFC 9110 §9.3.2), an error's too.
        if request.method == .head { response.body = ResponseBody() }
        return response
    }

    private static func respond(
        _ request: Request,
        _ context: BasicRequestContext,
        _ next: @concurrent (Request, BasicRequestContext) async throws -> Response
    ) async -> Response {
        do { return try await next(request, context) } catch let error as RoomError {
            return Self.problem(Self.status(for: error.code), error.message)
        } catch let error as MethodNotAllowed {
            var response = Self.problem(.methodNotAllowed, "the method is not for this resource")
            response.headers[.allow] = error.allow
            return response
        } catch let error as HTTPError {
            return Self.problem(error.status, error.body ?? error.status.reasonPhrase)
        } catch {
            context.logger.error("request failed", metadata: ["error": "\(error)"])
            return Self.problem(.internalServerError, "the server failed; its log says more")
        }
    }

    private static func status(for code: RoomError.Code) -> HTTPResponse.Status {
        switch code {
        case .noSuchParticipant, .noSuchTrack: .notFound
        case .unauthorized: .unauthorized
        case .forbidden: .forbidden
        case .internal: .internalServerError
        case .roomFull, .draining: .serviceUnavailable
        case .rateLimited: .tooManyRequests
        case .badMessage, .sdpInvalid, .sdpUnsupported: .badRequest
        }
    }

    private static func problem(_ status: HTTPResponse.Status, _ detail: String) -> Response {
        let body: JSONValue = [
            "title": .string(status.reasonPhrase), "status": JSONValue(status.code), "detail": .string(detail),
        ]
        var response = JSONResponse.make(body, status: status)
        response.headers[.contentType] = "application/problem+json"
        if status == .unauthorized { response.headers[.wwwAuthenticate] = "Bearer" }
        return response
    }
}

enum JSONResponse {
    static func make(_ json: JSONValue, status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status,
            headers: [.contentType: "application/json", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: json.bytes))
        )
    }
}
