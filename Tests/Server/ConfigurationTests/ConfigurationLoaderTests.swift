import Basics
import Foundation
import ServerConfiguration
import Testing

private let secret = "0123456789abcdef0123456789abcdef"

/// For each key a value that differs from the default and from what `--dev` chooses, as a flag takes it.
private let otherValues: [String: String] = [
    "http.host": "192.0.2.1", "http.port": "9000", "http.tls.certificate": "/dev/null",
    "http.tls.privateKey": "/dev/zero",
    "http.corsOrigins": "https://a.example,https://b.example", "admin.host": "::1", "admin.port": "9001",
    "admin.token": "t0,ken", "media.host": "192.0.2.1,2001:db8::1", "media.port": "9002",
    "media.advertisedAddresses": "203.0.113.7", "media.workers": "3", "media.maxBitratePerParticipant": "2500000",
    "media.sendBatchInterval": "3ms", "media.crypto": "openssl", "media.ecn": "auto",
    "rooms.maxParticipants": "12", "rooms.emptyTimeout": "500ms", "rooms.codecs": "h264,opus",
    "rooms.lastN": "4",
    "auth.keys": "a:\(secret),b:other:\(secret)", "limits.joinsPerSecondPerAddress": "7", "limits.messageBytes": "8192",
    "limits.messagesPerSecond": "8", "limits.tracksPerParticipant": "9", "limits.packetsPerSecondPerTransport": "1000",
    "log.level": "debug", "log.format": "json", "drain.timeout": "2m",
]

@Suite("Configuration keys")
struct ConfigurationKeyTests {
    /// Without the switch of what is not built: it has one value.
    private static let keyNames = ConfigurationKeys.all.map(\.name).filter { $0 != "media.tcpPort" }

    /// TLS needs both files, so that each is looked at beside the other.
    private func load(_ name: String?, _ set: (ConfigurationKey, String, inout ConfigurationRequest) throws -> Void)
        throws
        -> SluiceConfiguration
    {
        var request = ConfigurationRequest(development: true)
        if let name, name.hasPrefix("http.tls.") {
            let other = name.hasSuffix("certificate") ? "private-key" : "certificate"
            request.arguments += ["--http-tls-\(other)", "/dev/full"]
        }
        if let key = ConfigurationKeys.all.first(where: { $0.name == name }) {
            try set(key, try #require(otherValues[key.name], "give \(key.name) another value in this test"), &request)
        }
        return try ConfigurationLoader.load(request, coreCount: 2).configuration
    }

    @Test("Each key changes the configuration, as a flag and as a variable alike", arguments: keyNames)
    func everyKeyDoesSomething(name: String) throws {
        let plain = try self.load(nil) { _, _, _ in }
        let flag = try self.load(name) { key, value, request in request.arguments += [key.flag, value] }
        let equals = try self.load(name) { key, value, request in request.arguments.append("\(key.flag)=\(value)") }
        let variable = try self.load(name) { key, value, request in request.environment[key.variable] = value }
        #expect(flag != plain)
        #expect(equals == flag)
        #expect(variable == flag)
    }

    @Test("Names of flags and variables follow from the key")
    func names() throws {
        let key = try #require(ConfigurationKeys.all.first { $0.name == "media.advertisedAddresses" })
        #expect(key.flag == "--media-advertised-addresses")
        #expect(key.variable == "SLUICE_MEDIA_ADVERTISED_ADDRESSES")
        #expect(Set(ConfigurationKeys.all.map(\.flag)).count == ConfigurationKeys.all.count)
    }

    @Test("Values have the meaning of their text")
    func values() throws {
        let arguments = otherValues.flatMap { name, value in
            ConfigurationKeys.all.filter { $0.name == name }.flatMap { [$0.flag, value] }
        }
        let configuration = try ConfigurationLoader.load(ConfigurationRequest(arguments: arguments)).configuration
        #expect(
            configuration.media.host == [
                TransportAddress(ipv4: 0xC000_0201, port: 0), try #require(TransportAddress("2001:db8::1", port: 0)),
            ]
        )
        #expect(configuration.media.maxBitratePerParticipant == Bitrate(bitsPerSecond: 2_500_000))
        #expect(configuration.media.sendBatchInterval == .milliseconds(3))
        #expect(configuration.media.crypto == .openssl)
        #expect(configuration.media.ecn == .auto)
        #expect(configuration.rooms.emptyTimeout == .milliseconds(500))
        #expect(configuration.rooms.codecs == [.h264, .opus])
        #expect(configuration.rooms.lastN == 4)
        #expect(configuration.drain.timeout == .seconds(120))
        #expect(configuration.auth.keys == ["a": Redacted(secret), "b": Redacted("other:\(secret)")])
        #expect(configuration.admin.token == Redacted("t0,ken"))
        #expect(configuration.http.corsOrigins == ["https://a.example", "https://b.example"])
    }
}

@Suite("Precedence of configuration")
struct ConfigurationPrecedenceTests {
    private let file: TemporaryFile

    init() throws {
        self.file = try TemporaryFile(
            """
            http: {host: 192.0.2.1, port: 1000}
            media:
              port: 2000
              host: [192.0.2.1, "2001:db8::1"]
            auth:
              keys:
                k: \(secret)
            """
        )
    }

    private func load(
        development: Bool = false,
        _ arguments: [String] = [],
        _ environment: [String: String] = [:]
    ) throws -> LoadedConfiguration {
        try ConfigurationLoader.load(
            ConfigurationRequest(
                file: self.file.path,
                development: development,
                arguments: arguments,
                environment: environment
            )
        )
    }

    @Test("A flag is stronger than a variable, that than the file, that than the default")
    func order() throws {
        let variables = ["SLUICE_HTTP_PORT": "1001", "SLUICE_MEDIA_PORT": "2001"]
        let loaded = try self.load(["--http-port", "1002"], variables)
        #expect(loaded.configuration.http.port == 1_002)
        #expect(loaded.configuration.media.port == 2_001)
        #expect(loaded.configuration.http.host == "192.0.2.1")
        #expect(loaded.configuration.admin.port == 8_081)
        #expect(loaded.origins["http.port"] == .flag("--http-port"))
        #expect(loaded.origins["media.port"] == .environment("SLUICE_MEDIA_PORT"))
        #expect(loaded.origins["http.host"] == .file(path: self.file.path, line: 1))
        #expect(loaded.origins["auth.keys"] == .file(path: self.file.path, line: 6))
        #expect(loaded.origins["admin.port"] == .fallback)
        #expect(!loaded.isDevelopment)
    }

    @Test("--dev is stronger than the file: loopback only, and anyone may join")
    func development() throws {
        let configuration = try self.load(development: true).configuration
        #expect(configuration.http.host == "127.0.0.1")
        #expect(configuration.http.port == 8_080)
        #expect(configuration.http.corsOrigins == ["*"])
        #expect(configuration.media.host.map(\.ip) == ["127.0.0.1"])
        #expect(configuration.auth.keys.isEmpty)
        #expect(configuration.media.port == 2_000)
    }

    @Test("A flag is stronger than --dev")
    func flagOverDevelopment() throws {
        let loaded = try self.load(development: true, ["--http-host=::1", "--auth-keys", "k:\(secret)"])
        #expect(loaded.configuration.http.host == "::1")
        #expect(loaded.configuration.auth.keys.count == 1)
    }

    @Test("Without a file and without keys it is development; with keys it is not")
    func implicitDevelopment() throws {
        let bare = try ConfigurationLoader.load(ConfigurationRequest())
        #expect(bare.isDevelopment)
        #expect(bare.warnings == ["development mode: anyone on this machine may join any room"])
        let keyed = try ConfigurationLoader.load(ConfigurationRequest(environment: ["SLUICE_AUTH_KEYS": "k:\(secret)"]))
        #expect(!keyed.isDevelopment)
        #expect(keyed.configuration.http.host == "0.0.0.0")
    }

    @Test("An empty variable counts as not set, and those of other programs are left alone")
    func variables() throws {
        let environment = [
            "SLUICE_HTTP_PORT": "", "SLUICE_SERVICE_HOST": "10.0.0.1", "SLUICE_PORT_8080_TCP_ADDR": "10.0.0.1",
            "SLUICE_PORT": "tcp://10.0.0.1:8080", "HTTP_PORT": "1",
        ]
        #expect(try self.load([], environment).configuration.http.port == 1_000)
    }

    @Test("A short secret is warned about")
    func shortSecret() throws {
        let loaded = try self.load(["--auth-keys", "k:short"])
        #expect(loaded.warnings.count == 1)
        #expect(loaded.warnings.first?.contains("32 bytes") == true)
    }
}
