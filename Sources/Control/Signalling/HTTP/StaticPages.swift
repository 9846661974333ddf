import HTTPTypes
import Hummingbird
import NIOCore

/// The demo page and the browser SDK, from inside the executable.
struct StaticPages: Sendable {
    private struct Page: Sendable {
        let path: String
        let type: String
        let content: ByteBuffer
        let entityTag: String

        init(_ path: String, _ type: String, _ content: [UInt8]) {
            self.path = path
            self.type = type
            self.content = ByteBuffer(bytes: content)
            // FNV-1a: tells versions of our own files apart, and nothing else.
            let hash = content.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
            self.entityTag = "\"\(String(hash, radix: 16))\""
        }

        init(script path: String, _ content: [UInt8]) { self.init(path, "text/javascript; charset=utf-8", content) }
    }

    /// `ws:` and `wss:`, since older browsers do not count a WebSocket to the same host as `'self'`.
    private static let contentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; "
        + "media-src 'self' blob: mediastream:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

    private static let pages = [
        Page("/", "text/html; charset=utf-8", PackageResources.index_html),
        Page("/index.html", "text/html; charset=utf-8", PackageResources.index_html),
        Page("/style.css", "text/css; charset=utf-8", PackageResources.style_css),
        // The page.
        Page(script: "/app.js", PackageResources.app_js),
        Page(script: "/page-devices.js", PackageResources.page_devices_js),
        Page(script: "/page-shell.js", PackageResources.page_shell_js),
        Page(script: "/page-tiles.js", PackageResources.page_tiles_js),
        // The SDK: others import the first.
        Page(script: "/sluice.js", PackageResources.sluice_js),
        Page(script: "/sluice-connection.js", PackageResources.sluice_connection_js),
        Page(script: "/sluice-encodings.js", PackageResources.sluice_encodings_js),
        Page(script: "/sluice-model.js", PackageResources.sluice_model_js),
        Page(script: "/sluice-negotiation.js", PackageResources.sluice_negotiation_js),
        Page(script: "/sluice-publishing.js", PackageResources.sluice_publishing_js),
        Page(script: "/sluice-roster.js", PackageResources.sluice_roster_js),
        Page(script: "/sluice-subscriptions.js", PackageResources.sluice_subscriptions_js),
        Page(script: "/sluice-viewport.js", PackageResources.sluice_viewport_js),
    ]

    static func addRoutes(to router: Router<HTTPContext>) {
        for page in self.pages {
            for method in [HTTPRequest.Method.get, .head] {
                router.on(RouterPath(page.path), method: method) { request, _ in Self.response(to: request, page) }
            }
            for method in [HTTPRequest.Method.put, .post, .patch, .delete] {
                router.on(RouterPath(page.path), method: method) { _, _ -> Response in
                    throw Problem(.methodNotAllowed, "this is a page", headers: [.allow: "GET, HEAD"])
                }
            }
        }
    }

    private static func response(to request: Request, _ page: Page) -> Response {
        let headers: HTTPFields = [
            .contentType: page.type, .eTag: page.entityTag,
            // Always asked about, so a new server never meets an old page.
            .cacheControl: "no-cache",
            .contentSecurityPolicy: self.contentSecurityPolicy, .xContentTypeOptions: "nosniff",
            .referrerPolicy: "no-referrer",
        ]
        if request.headers[.ifNoneMatch]?.contains(page.entityTag) == true {
            return Response(status: .notModified, headers: headers)
        }
        guard request.method != .head else {
            var headers = headers
            headers[.contentLength] = String(page.content.readableBytes)
            return Response(status: .ok, headers: headers)
        }
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: page.content))
    }
}

extension HTTPField.Name {
    fileprivate static let referrerPolicy = HTTPField.Name("Referrer-Policy") ?? .cacheControl
}
