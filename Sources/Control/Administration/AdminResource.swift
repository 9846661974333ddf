import HTTPTypes
import Hummingbird

extension RouterMethods where Context == BasicRequestContext {
    /// One resource with all its methods: those that it has not are answered with 405 and `Allow` (RFC 9110 §15.5.6).
    /// HEAD is as GET; its body is left out later.
    func resource(
        _ path: RouterPath,
        _ handlers: [(
            method: HTTPRequest.Method,
            handle: @Sendable (Request, BasicRequestContext) async throws -> Response
        )]
    ) {
        var taken: [HTTPRequest.Method] = []
        for (method, handle) in handlers {
            taken.append(method)
            self.on(path, method: method, use: handle)
            guard method == .get else { continue }
            taken.append(.head)
            self.on(path, method: .head, use: handle)
        }
        let allow = taken.map(\.rawValue).joined(separator: ", ")
        for method in [HTTPRequest.Method.get, .head, .put, .post, .patch, .delete, .options]
        where !taken.contains(method) {
            self.on(path, method: method) { _, _ -> Response in throw MethodNotAllowed(allow: allow) }
        }
    }
}

struct MethodNotAllowed: Error {
    let allow: String
}
