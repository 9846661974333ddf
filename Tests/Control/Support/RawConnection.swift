package import NIOCore
import NIOPosix

/// A TCP connection that says exactly what a test wants it to say.
package final class RawConnection: Sendable {
    package enum Failure: Error { case closed, timeout, unexpected(String) }

    private let channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>
    private let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>

    private init(
        _ channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>,
        _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    ) {
        self.channel = channel
        self.outbound = outbound
    }

    /// What was received and not yet taken.
    package struct Input {
        // Used by one task only, which the compiler cannot see through NIO's iterator.
        private nonisolated(unsafe) var iterator: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
        private(set) var buffer = ByteBuffer()

        package init(_ stream: NIOAsyncChannelInboundStream<ByteBuffer>) { self.iterator = stream.makeAsyncIterator() }

        /// Returns whether there was more before the connection ended.
        private mutating func more() async throws -> Bool {
            guard var bytes = try await self.iterator.next() else { return false }
            self.buffer.writeBuffer(&bytes)
            return true
        }

        package mutating func take(_ count: Int) async throws -> [UInt8] {
            while self.buffer.readableBytes < count { if try await !self.more() { throw Failure.closed } }
            return self.buffer.readBytes(length: count) ?? []
        }

        package mutating func takeLine() async throws -> String {
            while true {
                if let end = self.buffer.readableBytesView.firstIndex(of: 0x0A) {
                    let line = self.buffer.readString(length: end - self.buffer.readerIndex + 1) ?? ""
                    return line.filter { !$0.isNewline }
                }
                if try await !self.more() { throw Failure.closed }
            }
        }

        /// Reads until the server ends the connection; whatever way it does so.
        package mutating func drain() async {
            while (try? await self.more()) == true {}
        }
    }

    package static func open<T: Sendable>(
        port: Int,
        _ body: @escaping @Sendable (RawConnection, inout Input) async throws -> T
    ) async throws -> T {
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await withDeadline(seconds: 30) {
                var input = Input(inbound)
                return try await body(RawConnection(channel, outbound), &input)
            }
        }
    }

    package func send(_ text: String) async throws { try await self.outbound.write(ByteBuffer(string: text)) }
    package func send(_ bytes: [UInt8]) async throws { try await self.outbound.write(ByteBuffer(bytes: bytes)) }

    /// Stops reading from the socket, as a client that hangs does.
    package func stopReading() async throws { try await self.channel.channel.setOption(.autoRead, value: false).get() }
}

/// Ends what hangs: a test fails rather than waits.
package func withDeadline<T: Sendable>(seconds: Int, _ body: @escaping @Sendable () async throws -> T) async throws -> T
{
    try await withThrowingTaskGroup(of: T.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: .seconds(seconds))
            throw RawConnection.Failure.timeout
        }
        defer { group.cancelAll() }
        guard let result = try await group.next() else { throw RawConnection.Failure.timeout }
        return result
    }
}

/// One HTTP request on a connection of its own.
package struct HTTPReply: Sendable {
    package var status: Int
    /// Names in lower case.
    package var headers: [String: String]
    package var body: String

    package static func request(
        _ method: String,
        _ path: String,
        port: Int,
        headers: [String: String] = [:],
        body: String? = nil
    ) async throws -> HTTPReply {
        try await RawConnection.open(port: port) { connection, input in
            var lines = ["\(method) \(path) HTTP/1.1", "Host: 127.0.0.1:\(port)", "Connection: close"]
            lines += headers.map { "\($0.key): \($0.value)" }
            if let body { lines.append("Content-Length: \(body.utf8.count)") }
            try await connection.send(lines.map { $0 + "\r\n" }.joined() + "\r\n" + (body ?? ""))
            return try await Self.read(&input, hasBody: method != "HEAD")
        }
    }

    package static func read(_ input: inout RawConnection.Input, hasBody: Bool = true) async throws -> HTTPReply {
        let status = try await input.takeLine().split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        var headers: [String: String] = [:]
        while true {
            let line = try await input.takeLine()
            guard let colon = line.firstIndex(of: ":") else { break }
            headers[line[..<colon].lowercased()] = String(line[line.index(after: colon)...].drop { $0 == " " })
        }
        let length = hasBody ? headers["content-length"].flatMap { Int($0) } ?? 0 : 0
        let body = String(decoding: try await input.take(length), as: UTF8.self)
        return HTTPReply(status: status, headers: headers, body: body)
    }
}
