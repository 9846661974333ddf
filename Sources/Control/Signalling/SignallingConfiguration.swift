package import Basics

/// What the public listener is made with; a change needs a restart but for what `SignallingServer.update` takes.
package struct SignallingConfiguration: Sendable {
    package struct TLS: Sendable, Equatable {
        /// Paths of PEM files.
        package var certificate: String
        package var privateKey: String

        package init(certificate: String, privateKey: String) {
            self.certificate = certificate
            self.privateKey = privateKey
        }
    }

    package var host: String
    /// 0 = any free one.
    package var port: Int
    package var tls: TLS?
    /// `*` = any.
    package var corsOrigins: [String]
    package var limits: SignallingLimits
    /// As `joined.serverVersion` says it.
    package var version: String

    package init(
        host: String = "127.0.0.1",
        port: Int = 8_080,
        tls: TLS? = nil,
        corsOrigins: [String] = [],
        limits: SignallingLimits = SignallingLimits(),
        version: String = "0.1.0"
    ) {
        self.host = host
        self.port = port
        self.tls = tls
        self.corsOrigins = corsOrigins
        self.limits = limits
        self.version = version
    }
}

/// What one client may ask of the signalling (ATTACKS ).
package struct SignallingLimits: Sendable, Equatable {
    /// Of one IPv4 address or IPv6 /64; 0 = no limit.
    package var joinsPerSecondPerAddress: Int
    package var messagesPerSecond: Int
    /// Largest message and largest SDP body.
    package var messageBytes: Int
    /// What waits for a client that does not read.
    package var outboundQueueBytes: Int
    /// How long one frame may wait for a client that does not read.
    package var sendTimeout: Nanoseconds
    /// From the connection, or from a later request's first byte, to the end of the request's header.
    package var handshakeTimeout: Nanoseconds
    /// From there to the end of the request.
    package var requestTimeout: Nanoseconds
    /// How long HTTP's answers may wait for a client that does not read.
    package var answerTimeout: Nanoseconds
    /// From the wish to stop to the end of connections that have not ended by themselves. With `drain.timeout` less than
    /// the service manager's patience (`TimeoutStopSec` in ops/systemd).
    package var shutdownTimeout: Nanoseconds
    /// From the WebSocket's opening to `join`.
    package var joinTimeout: Nanoseconds
    package var pingInterval: Nanoseconds
    /// Silence after which a WebSocket counts as lost.
    package var silenceTimeout: Nanoseconds

    package init(
        joinsPerSecondPerAddress: Int = 50,
        messagesPerSecond: Int = 100,
        messageBytes: Int = 65_536,
        outboundQueueBytes: Int = 262_144,
        sendTimeout: Nanoseconds = .seconds(5),
        handshakeTimeout: Nanoseconds = .seconds(5),
        requestTimeout: Nanoseconds = .seconds(20),
        answerTimeout: Nanoseconds = .seconds(20),
        shutdownTimeout: Nanoseconds = .seconds(5),
        joinTimeout: Nanoseconds = .seconds(10),
        pingInterval: Nanoseconds = .seconds(10),
        silenceTimeout: Nanoseconds = .seconds(30)
    ) {
        self.joinsPerSecondPerAddress = joinsPerSecondPerAddress
        self.messagesPerSecond = messagesPerSecond
        self.messageBytes = messageBytes
        self.outboundQueueBytes = outboundQueueBytes
        self.sendTimeout = sendTimeout
        self.handshakeTimeout = handshakeTimeout
        self.requestTimeout = requestTimeout
        self.answerTimeout = answerTimeout
        self.shutdownTimeout = shutdownTimeout
        self.joinTimeout = joinTimeout
        self.pingInterval = pingInterval
        self.silenceTimeout = silenceTimeout
    }
}
