import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Rooms

/// An error as clients of the HTTP interfaces get it (RFC 9457).
struct Problem: Error {
    var status: HTTPResponse.Status
    /// One of the signalling's codes where there is one that fits.
    var code: RoomError.Code?
    var detail: String
    var headers: HTTPFields = [:]

    init(_ status: HTTPResponse.Status, _ detail: String, code: RoomError.Code? = nil, headers: HTTPFields = [:]) {
        self.status = status
        self.detail = detail
        self.code = code
        self.headers = headers
    }

    init(_ error: RoomError) {
        self.init(Self.status(for: error.code), error.message, code: error.code)
        switch error.code {
        case .unauthorized: self.headers[.wwwAuthenticate] = "Bearer"
        case .draining, .roomFull: self.headers[.retryAfter] = "5"
        case .rateLimited: self.headers[.retryAfter] = "1"
        default: break
        }
    }

    private static func status(for code: RoomError.Code) -> HTTPResponse.Status {
        switch code {
        case .badMessage, .sdpInvalid: .badRequest
        case .unauthorized: .unauthorized
        case .forbidden: .forbidden
        case .noSuchTrack, .noSuchParticipant: .notFound
        case .sdpUnsupported: .unprocessableContent
        case .rateLimited: .tooManyRequests
        case .roomFull, .draining: .serviceUnavailable
        case .internal: .internalServerError
        }
    }

    var response: Response {
        var body: [String: JSONValue] = [
            "title": .string(self.status.reasonPhrase), "status": JSONValue(self.status.code),
            "detail": .string(self.detail),
        ]
        if let code = self.code { body["code"] = .string(code.rawValue) }
        var headers = self.headers
        headers[.contentType] = "application/problem+json"
        headers[.cacheControl] = "no-store"
        return Response(
            status: self.status,
            headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: JSONValue.object(body).bytes))
        )
    }
}

/// Turns every error below it into a problem document.
struct ProblemMiddleware: RouterMiddleware {
    @concurrent func handle(
        _ request: Request,
        context: HTTPContext,
        next: @concurrent (Request, HTTPContext) async throws -> Response
    ) async throws -> Response {
        do { return try await next(request, context) } catch let problem as Problem {
            return problem.response
        } catch let error as RoomError {
            return Problem(error).response
        } catch let error as HTTPError {
            return Problem(error.status, error.body ?? error.status.reasonPhrase).response
        } catch {
            context.logger.error("request failed", metadata: ["error": "\(error)"])
            return Problem(.internalServerError, "the server failed; its log says more", code: .internal).response
        }
    }
}
