import Basics
import Foundation
import ServerConfiguration
import Testing

private let keys = "auth: {keys: {k: 0123456789abcdef0123456789abcdef}}\n"

@Suite("Configuration errors")
struct ConfigurationErrorTests {
    private func message(_ request: ConfigurationRequest) -> String? {
        do {
            _ = try ConfigurationLoader.load(request)
            return nil
        } catch {
            return error.description
        }
    }

    @Test(
        "A wrong flag is named with its value and the mend",
        arguments: [
            (["--http-prot", "1"], "There is no flag --http-prot: did you mean --http-port?"),
            (["--deb"], "There is no flag --deb: did you mean --dev?"),
            (["--http-port"], "--http-port: give a value after it, as in --http-port VALUE."),
            (["--http-port", "--log-level"], "--http-port: give a value after it, as in --http-port VALUE."),
            (["--http-port", "1", "2"], "2: give values after a flag, as in --http-port 8080."),
            (["--http-port=1", "--http-port=2"], "--http-port: give it once."),
            (["8080"], "8080: give values after a flag, as in --http-port 8080."),
            (
                ["--http-port", "65536"],
                #"http.port is "65536" (flag --http-port): give a port number from 0 to 65535."#
            ),
            (["--http-port", "+5"], #"http.port is "+5" (flag --http-port): give a port number from 0 to 65535."#),
            (
                ["--media-port", "65535", "--media-workers", "2"],
                #"media.port is "65535" (flag --media-port): each of the 2 workers needs a port, up to 65536, so choose at most 65534."#
            ),
            (
                ["--media-host", "localhost"],
                #"media.host is "localhost" (flag --media-host): give literal addresses such as 192.0.2.1 or 2001:db8::1."#
            ),
            (
                ["--media-advertised-addresses", "auto"],
                #"media.advertisedAddresses is "auto" (flag --media-advertised-addresses): give the public addresses themselves, such as 203.0.113.7; finding them out is not built yet."#
            ),
            (
                ["--media-advertised-addresses", "0.0.0.0"],
                #"media.advertisedAddresses is "0.0.0.0" (flag --media-advertised-addresses): give addresses that clients can send to."#
            ),
            (
                ["--drain-timeout", "30"],
                #"drain.timeout is "30" (flag --drain-timeout): give a duration such as 500ms, 60s, 2m or 1h, at most 24h."#
            ),
            (
                ["--drain-timeout", "99999999999999999999h"],
                #"drain.timeout is "99999999999999999999h" (flag --drain-timeout): give a duration such as 500ms, 60s, 2m or 1h, at most 24h."#
            ),
            (["--log-format", "xml"], #"log.format is "xml" (flag --log-format): give one of text, json."#),
            (
                ["--rooms-codecs", "opus,opus"],
                #"rooms.codecs is "opus,opus" (flag --rooms-codecs): give a list, each at most once, of opus, red, vp8, vp9, h264, h265, av1."#
            ),
            (
                ["--http-cors-origins", "meet.example.org"],
                #"http.corsOrigins is "meet.example.org" (flag --http-cors-origins): give a list of origins such as https://meet.example.org, or * alone for all."#
            ),
            (
                ["--auth-keys", "justasecret"],
                #"auth.keys is "[redacted]" (flag --auth-keys): give a map of API keys to secrets, or KEY:SECRET,KEY2:SECRET2 in a flag or variable."#
            ),
            (
                ["--http-tls-certificate", "/dev/null"],
                "http.tls.privateKey is not set: set it to the PEM file of the certificate's private key."
            ),
            (
                ["--http-tls-certificate", "/none", "--http-tls-private-key", "/dev/null"],
                #"http.tls.certificate is "/none" (flag --http-tls-certificate): there is no file that Sluice may read, so check the path and its permissions."#
            ),
            (
                ["--admin-host", "0.0.0.0"],
                "admin.token is not set: admin.host is 0.0.0.0, which others can reach, so set a token (openssl rand -hex 32) or admin.host to 127.0.0.1."
            ),
            (
                ["--log-level", "in\u{1B}[31mfo"],
                #"log.level is "in\u{1b}[31mfo" (flag --log-level): give one of trace, debug, info, notice, warning, error, critical."#
            ),
        ]
    )
    func flags(arguments: [String], expected: String) {
        #expect(self.message(ConfigurationRequest(development: true, arguments: arguments)) == expected)
    }

    @Test("A wrong variable is named")
    func variables() {
        #expect(
            self.message(ConfigurationRequest(environment: ["SLUICE_MEDIA_PROT": "1"]))
                == "There is no key for the environment variable SLUICE_MEDIA_PROT: did you mean SLUICE_MEDIA_PORT?"
        )
        #expect(
            self.message(ConfigurationRequest(environment: ["SLUICE_MEDIA_PORT": "x"]))
                == #"media.port is "x" (environment variable SLUICE_MEDIA_PORT): give a port number from 0 to 65535."#
        )
    }

    @Test(
        "A wrong file is named with the line",
        arguments: [
            ("media:\n  prot: 1\n", "PATH, line 2: there is no key media.prot: did you mean media.port?"),
            ("medai:\n  port: 1\n", "PATH, line 1: there is no key medai: did you mean "),
            ("turn: {mode: sfu}\n", "PATH, line 1: there is no key turn: did you mean "),
            ("media:\n  port: abc\n", #"media.port is "abc" (PATH, line 2): give a port number from 0 to 65535."#),
            ("media:\n  port: [1, 2]\n", #"media.port is "a list or a map" (PATH, line 2): give a port number"#),
            ("media: {tcpPort: 7881}\n", #"media.tcpPort is "7881" (PATH, line 1): ICE over TCP is not built yet"#),
            ("media: 7880\n", "PATH, line 1 is not YAML that Sluice understands: media is a group: give its keys"),
            ("media:\n  port: 1\n  port: 2\n", "stands there twice: keep one."),
            ("media: {port: 1\n", "is not YAML that Sluice understands"),
            ("- a\n", "is not YAML that Sluice understands: give a map of keys"),
            ("auth:\n  keys: [a]\n", #"auth.keys is "[redacted]" (PATH, line 2): give a map"#),
            ("auth:\n  keys: {a: [b]}\n", #"auth.keys is "[redacted]" (PATH, line 2): give a map"#),
        ]
    )
    func file(text: String, expected: String) throws {
        let file = try TemporaryFile(text)
        let message = try #require(self.message(ConfigurationRequest(file: file.path)))
        #expect(message.contains(expected.replacingOccurrences(of: "PATH", with: file.path)), "\(message)")
    }

    @Test("A file that is not there is named")
    func missingFile() {
        #expect(
            self.message(ConfigurationRequest(file: "/none.yaml"))
                == "The configuration file /none.yaml can't be read (no such file): check the path after --config and its permissions."
        )
    }

    @Test("Without keys and without --dev the message says how to make a key")
    func noKeys() throws {
        let file = try TemporaryFile("log: {level: debug}\n")
        let message = try #require(self.message(ConfigurationRequest(file: file.path)))
        #expect(message.hasPrefix("auth.keys is not set: make a secret with \"openssl rand -hex 32\""))
    }

    @Test("Null leaves a default in place, and one scalar does for a list")
    func nullAndScalars() throws {
        let file = try TemporaryFile(keys + "media:\n  port: ~\n  host: 192.0.2.1, 192.0.2.2\nrooms:\n")
        let configuration = try ConfigurationLoader.load(ConfigurationRequest(file: file.path)).configuration
        #expect(configuration.media.port == 7_880)
        #expect(configuration.media.host.map(\.ip) == ["192.0.2.1", "192.0.2.2"])
    }
}

@Suite("Reloading")
struct ConfigurationReloadTests {
    private func start(_ text: String, _ arguments: [String] = []) throws -> (TemporaryFile, ConfigurationReload) {
        let file = try TemporaryFile(text)
        let request = ConfigurationRequest(file: file.path, arguments: arguments)
        return (file, ConfigurationReload(request, current: try ConfigurationLoader.load(request)))
    }

    @Test("An unchanged file is not loaded again")
    func unchanged() throws {
        var (file, reload) = try self.start(keys)
        #expect(reload.reloadIfChanged() == nil)
        try file.write(keys + "log: {level: debug}\n")
        #expect(reload.reloadIfChanged() != nil)
        #expect(reload.reloadIfChanged() == nil)
    }

    @Test("Changed keys apply, and those that need a restart keep their old value and are named")
    func changed() throws {
        var (file, reload) = try self.start(keys)
        try file.write(keys + "log: {level: debug}\nmedia: {port: 9000}\nlimits: {messagesPerSecond: 7}\n")
        guard case .applied(let loaded, let changed, let needRestart, false) = reload.reload() else {
            Issue.record("not applied")
            return
        }
        #expect(loaded.configuration.log.level == .debug)
        #expect(loaded.configuration.limits.messagesPerSecond == 7)
        #expect(loaded.configuration.media.port == 7_880)
        #expect(changed == ["limits.messagesPerSecond", "log.level"])
        #expect(needRestart == ["media.port"])
    }

    @Test(
        "A bad file keeps the old configuration",
        arguments: ["log: {level: loud}\n", "auth: {keys: {}}\n", "x: 1\n", "{"]
    )
    func bad(text: String) throws {
        var (file, reload) = try self.start(keys + "log: {level: debug}\n")
        try file.write(text)
        guard case .rejected = reload.reloadIfChanged() else {
            Issue.record("not rejected")
            return
        }
        #expect(reload.current.configuration.log.level == .debug)
        #expect(reload.reloadIfChanged() == nil, "the same bad file is reported once")
    }

    @Test("A flag stays stronger than the changed file")
    func flags() throws {
        var (file, reload) = try self.start(keys, ["--log-level", "error"])
        try file.write(keys + "log: {level: debug}\n")
        _ = reload.reload()
        #expect(reload.current.configuration.log.level == .error)
    }

    @Test("New TLS files are noticed though the configuration is the same; turning TLS off needs a restart")
    func certificates() throws {
        let certificate = try TemporaryFile("old", suffix: ".pem")
        let tls = "http: {tls: {certificate: \(certificate.path), privateKey: \(certificate.path)}}\n"
        var (file, reload) = try self.start(keys + tls)
        try certificate.write("renewed")
        guard case .applied(_, [], [], true)? = reload.reloadIfChanged() else {
            Issue.record("not noticed")
            return
        }
        try file.write(keys)
        guard case .applied(let loaded, [], let needRestart, _)? = reload.reloadIfChanged() else {
            Issue.record("not applied")
            return
        }
        #expect(needRestart == ["http.tls.certificate", "http.tls.privateKey"])
        #expect(loaded.configuration.http.tls.certificate == certificate.path)
    }
}
