import Basics

/// Every key there is. Of what is not built yet only the switch that says "off" may be in this list.
package enum ConfigurationKeys {
    package static let all: [ConfigurationKey] = http + admin + media + rooms + auth + limits + log + drain

    private static let http = [
        ConfigurationKey(
            "http.host",
            \.http.host,
            .text("an address to listen on, such as 0.0.0.0 or ::"),
            default: ["0.0.0.0"],
            development: ["127.0.0.1"],
            "address of signalling, WHIP, WHEP and the page"
        ),
        ConfigurationKey(
            "http.port",
            \.http.port,
            .port,
            default: ["8080"],
            development: ["8080"],
            "TCP port of the same; 0 = any free port"
        ),
        ConfigurationKey(
            "http.tls.certificate",
            \.http.tls.certificate,
            .optionalText("the path of a PEM file"),
            "PEM file with the certificate chain, read again when it changes; with the key it turns HTTPS on"
        ),
        ConfigurationKey(
            "http.tls.privateKey",
            \.http.tls.privateKey,
            .optionalText("the path of a PEM file"),
            "PEM file with the private key of the certificate"
        ),
        ConfigurationKey(
            "http.corsOrigins",
            \.http.corsOrigins,
            .origins,
            development: ["*"],
            isList: true,
            "origins whose pages may use the HTTP interface; * = all"
        ),
    ]

    private static let admin = [
        ConfigurationKey(
            "admin.host",
            \.admin.host,
            .text("an address to listen on, such as 127.0.0.1"),
            default: ["127.0.0.1"],
            "address of /metrics, /healthz, /readyz and the admin API"
        ),
        ConfigurationKey(
            "admin.port",
            \.admin.port,
            .port,
            default: ["8081"],
            "TCP port of the same; 0 = any free port"
        ),
        ConfigurationKey(
            "admin.token",
            \.admin.token,
            .secret("a long random text"),
            isSecret: true,
            "bearer token of the admin API; needed when admin.host is not loopback"
        ),
    ]

    private static let media = [
        ConfigurationKey(
            "media.host",
            \.media.host,
            .addresses("give literal addresses such as 192.0.2.1 or 2001:db8::1"),
            development: ["127.0.0.1"],
            isList: true,
            "addresses to bind for media; none = every address of the machine"
        ),
        ConfigurationKey(
            "media.port",
            \.media.port,
            .port,
            default: ["7880"],
            "UDP port of media worker 0; worker i has port + i; 0 = any free ports"
        ),
        ConfigurationKey(
            "media.tcpPort",
            \.media.tcpPort,
            .portOfWhatIsNotBuilt("ICE over TCP"),
            default: ["0"],
            "TCP port for ICE; only 0 = off so far"
        ),
        ConfigurationKey(
            "media.advertisedAddresses",
            \.media.advertisedAddresses,
            .addresses("give the public addresses themselves, such as 203.0.113.7; finding them out is not built yet"),
            isList: true,
            "public addresses of a machine behind 1:1 NAT"
        ),
        ConfigurationKey(
            "media.workers",
            \.media.workers,
            .integer(0...256),
            default: ["0"],
            "media threads; 0 = one per core"
        ),
        ConfigurationKey(
            "media.maxBitratePerParticipant",
            \.media.maxBitratePerParticipant,
            .bitrate,
            default: ["0"],
            "bits per second that one subscriber is sent at most; 0 = no cap"
        ),
        ConfigurationKey(
            "media.crypto",
            \.media.crypto,
            .choice,
            default: ["auto"],
            "whose AES-GCM protects media: auto, openssl or ipsec-mb"
        ),
        ConfigurationKey(
            "media.ecn",
            \.media.ecn,
            .choice,
            default: ["off"],
            "packets that queues may mark in place of dropping them (L4S), to clients that tell of marks: auto or off"
        ),
        ConfigurationKey(
            "media.sendBatchInterval",
            \.media.sendBatchInterval,
            .duration(upTo: .milliseconds(20)),
            default: ["1ms"],
            "longest wait of a busy worker for packets to one destination to leave together; 0 = send at once"
        ),
    ]

    private static let rooms = [
        ConfigurationKey(
            "rooms.maxParticipants",
            \.rooms.maxParticipants,
            .integer(0...100_000),
            default: ["0"],
            isReloadable: true,
            "participants that one room may have; 0 = no limit"
        ),
        ConfigurationKey(
            "rooms.emptyTimeout",
            \.rooms.emptyTimeout,
            .duration(upTo: .seconds(86_400)),
            default: ["60s"],
            isReloadable: true,
            "how long a room without participants is kept"
        ),
        ConfigurationKey(
            "rooms.codecs",
            \.rooms.codecs,
            .codecs,
            default: ["opus", "vp8", "vp9", "h264", "av1"],
            isList: true,
            isReloadable: true,
            "codecs that rooms offer, best first"
        ),
        ConfigurationKey(
            "rooms.lastN",
            \.rooms.lastN,
            .lastN,
            default: ["-1"],
            isReloadable: true,
            "cameras that a participant is sent at most, those of the last speakers; -1 = all"
        ),
    ]

    private static let auth = [
        ConfigurationKey(
            "auth.keys",
            \.auth.keys,
            .keys,
            development: [],
            isList: true,
            isSecret: true,
            isReloadable: true,
            "API keys with their secrets, KEY:SECRET,KEY2:SECRET2; needed without --dev"
        )
    ]

    private static let limits = [
        ConfigurationKey(
            "limits.joinsPerSecondPerAddress",
            \.limits.joinsPerSecondPerAddress,
            .integer(0...1_000_000),
            default: ["1000"],
            isReloadable: true,
            "joins that one address may make in a second; 0 = any number"
        ),
        ConfigurationKey(
            "limits.messageBytes",
            \.limits.messageBytes,
            .integer(4_096...16_777_216),
            default: ["262144"],
            isReloadable: true,
            "bytes of one signalling message or HTTP body"
        ),
        ConfigurationKey(
            "limits.messagesPerSecond",
            \.limits.messagesPerSecond,
            .integer(1...1_000_000),
            default: ["100"],
            isReloadable: true,
            "signalling messages that one connection may send in a second"
        ),
        ConfigurationKey(
            "limits.tracksPerParticipant",
            \.limits.tracksPerParticipant,
            .integer(1...1_000),
            default: ["32"],
            isReloadable: true,
            "tracks that one participant may publish"
        ),
        ConfigurationKey(
            "limits.packetsPerSecondPerTransport",
            \.limits.packetsPerSecondPerTransport,
            .integer(100...10_000_000),
            default: ["10000"],
            "packets a second that one client may send; more are dropped"
        ),
    ]

    private static let log = [
        ConfigurationKey(
            "log.level",
            \.log.level,
            .choice,
            default: ["info"],
            isReloadable: true,
            "trace, debug, info, notice, warning, error or critical"
        ),
        ConfigurationKey(
            "log.format",
            \.log.format,
            .choice,
            default: ["text"],
            isReloadable: true,
            "text or json, on stderr"
        ),
    ]

    private static let drain = [
        ConfigurationKey(
            "drain.timeout",
            \.drain.timeout,
            .duration(upTo: .seconds(86_400)),
            default: ["30s"],
            "how long running rooms may go on after the first SIGTERM"
        )
    ]
}
