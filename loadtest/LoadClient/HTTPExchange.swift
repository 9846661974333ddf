package import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOPosix

/// One HTTP request on a connection of its own: what signalling over WHIP and WHEP takes, and the reading of `/metrics`.
package enum HTTPExchange {
    package struct Answer: Sendable {
        package var response: HTTPResponse
        package var body: String
    }

    /// Answers larger than this are cut: no SDP is.
    private static let largestBody = 4 << 20
    /// From the request to the end of its answer.
    package static let answerTimeout = Duration.seconds(10)

    /// - Parameters:
    ///   - acceptsAnyCertificate: for test servers with their own certificate.
    ///   - timeout: from the connection to the end of the answer.
    /// - Throws: `LoadClientError.connectionFailed` or `.timedOut`: a server that takes connections and says nothing is
    ///   given up.
    package static func send(
        _ request: HTTPRequest,
        body: String = "",
        to server: ServerAddress,
        acceptsAnyCertificate: Bool = false,
        timeout: Duration = answerTimeout
    ) async throws -> Answer {
        let bootstrap = ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup).connectTimeout(.seconds(5))
        let channel: NIOAsyncChannel<HTTPResponsePart, HTTPRequestPart>
        do {
            channel = try await bootstrap.connect(host: server.host, port: server.port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if server.isSecure {
                        try pipeline.addHandler(server.makeTLSHandler(acceptsAnyCertificate: acceptsAnyCertificate))
                    }
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(HTTP1ToHTTPClientCodec())
                    return try NIOAsyncChannel(wrappingChannelSynchronously: channel)
                }
            }
        } catch { throw LoadClientError.connectionFailed(server.explaining(error)) }
        let start = NIODeadline.now()
        let timer = channel.channel.eventLoop.scheduleTask(in: TimeAmount(timeout)) {
            channel.channel.close(promise: nil)
        }
        defer { timer.cancel() }
        do {
            return try await self.exchange(request, body: body, with: server, on: channel)
        } catch {
            guard NIODeadline.now() - start < TimeAmount(timeout) else {
                throw LoadClientError.timedOut("\(request.method) \(request.path ?? "") at \(server)")
            }
            if error is LoadClientError { throw error }
            throw LoadClientError.connectionFailed(server.explaining(error))
        }
    }

    private static func exchange(
        _ request: HTTPRequest,
        body: String,
        with server: ServerAddress,
        on channel: NIOAsyncChannel<HTTPResponsePart, HTTPRequestPart>
    ) async throws -> Answer {
        var head = request
        head.scheme = server.isSecure ? "https" : "http"
        head.authority = server.description
        head.headerFields[.connection] = "close"
        head.headerFields[.contentLength] = "\(body.utf8.count)"
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(.head(head))
            if !body.isEmpty { try await outbound.write(.body(ByteBuffer(string: body))) }
            try await outbound.write(.end(nil))
            var response: HTTPResponse?
            var buffer = ByteBuffer()
            for try await part in inbound {
                switch part {
                case .head(let head): response = head
                case .body(var bytes): if buffer.readableBytes < self.largestBody { buffer.writeBuffer(&bytes) }
                case .end:
                    guard let response else { break }
                    return Answer(response: response, body: String(buffer: buffer))
                }
            }
            throw LoadClientError.connectionFailed("\(server) closed the connection without an answer")
        }
    }
}

/// Where the server's HTTP is.
package struct ServerAddress: Sendable, Equatable, CustomStringConvertible {
    package let host: String
    package let port: Int
    package let isSecure: Bool

    package var description: String {
        self.host.contains(":") ? "[\(self.host)]:\(self.port)" : "\(self.host):\(self.port)"
    }

    /// - Parameter url: such as `http://127.0.0.1:8080`; a path is ignored. `nil` when it is none.
    package init?(_ url: String) {
        guard let schemeEnd = url.firstRange(of: "://") else { return nil }
        switch url[..<schemeEnd.lowerBound].lowercased() {
        case "http", "ws": self.isSecure = false
        case "https", "wss": self.isSecure = true
        default: return nil
        }
        let authority = url[schemeEnd.upperBound...].prefix { $0 != "/" }
        var host = authority
        var port: Int? = self.isSecure ? 443 : 80
        if let colon = authority.lastIndex(of: ":"), !authority.hasSuffix("]") {
            host = authority[..<colon]
            port = Int(authority[authority.index(after: colon)...])
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty, let port, (1...65_535).contains(port) else { return nil }
        self.host = String(host)
        self.port = port
    }

    /// Why there is no connection, and what to do about it where that is known.
    func explaining(_ error: any Error) -> String {
        let text = "\(self): \(error)"
        guard text.contains("CERTIFICATE_VERIFY_FAILED") else { return text }
        return "\(self): its certificate is not one that this machine trusts; --insecure accepts any"
    }

    /// TLS names no addresses (RFC 6066 §3).
    var nameForTLS: String? { self.host.contains(where: \.isLetter) && !self.host.contains(":") ? self.host : nil }
}
