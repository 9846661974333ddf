import HTTPTypes
import Hummingbird

/// Lets pages of other origins use WHIP and WHEP, where the operator allows it (Fetch standard, CORS protocol).
struct CORSMiddleware: RouterMiddleware {
    /// `*` = any.
    let origins: [String]

    @concurrent func handle(
        _ request: Request,
        context: HTTPContext,
        next: @concurrent (Request, HTTPContext) async throws -> Response
    ) async throws -> Response {
        guard let origin = request.headers[.origin] else { return try await next(request, context) }
        let isAllowed = self.origins.contains("*") || self.origins.contains(origin)
        let isPreflight = request.method == .options && request.headers[.accessControlRequestMethod] != nil
        var response = try await next(request, context)
        response.headers[.vary] = "Origin"
        guard isAllowed else { return response }
        // Only a path that is not there answers a preflight with an error; the request itself will say so better.
        if isPreflight, response.status.kind != .successful { response = Response(status: .noContent) }
        response.headers[.vary] = "Origin"
        response.headers[.accessControlAllowOrigin] = self.origins.contains("*") ? "*" : origin
        response.headers[.accessControlExposeHeaders] = "Location, ETag, Link, Accept-Post, Accept-Patch, Retry-After"
        if isPreflight {
            response.headers[.accessControlAllowMethods] = "GET, POST, PATCH, DELETE, OPTIONS"
            response.headers[.accessControlAllowHeaders] = "Authorization, Content-Type, If-Match"
            response.headers[.accessControlMaxAge] = "86400"
        }
        return response
    }
}

/// The answer to HEAD ends with its header (RFC 9110 §9.3.2), an error's too.
struct HeadMiddleware: RouterMiddleware {
    @concurrent func handle(
        _ request: Request,
        context: HTTPContext,
        next: @concurrent (Request, HTTPContext) async throws -> Response
    ) async throws -> Response {
        var response = try await next(request, context)
        if request.method == .head { response.body = ResponseBody() }
        return response
    }
}

/// Counts and times requests. The label is the route's pattern, never the path.
struct HTTPMetricsMiddleware: RouterMiddleware {
    @concurrent func handle(
        _ request: Request,
        context: HTTPContext,
        next: @concurrent (Request, HTTPContext) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        let response = try await next(request, context)
        SignallingMetrics.request(
            route: context.endpointPath ?? "other",
            method: Self.knownMethods.contains(request.method) ? request.method.rawValue : "other",
            status: response.status.code,
            duration: ContinuousClock.now - start
        )
        return response
    }

    private static let knownMethods: [HTTPRequest.Method] = [.get, .head, .post, .put, .patch, .delete, .options]
}
