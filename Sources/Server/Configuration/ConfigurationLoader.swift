import Basics
import Foundation

/// A configuration together with how it came about.
package struct LoadedConfiguration: Sendable {
    package var configuration: SluiceConfiguration
    /// `--dev` was given, or there is neither a file nor a key.
    package let isDevelopment: Bool
    /// By key.
    package let origins: [String: ConfigurationOrigin]
    /// By key, as they were given; secrets are `[redacted]`.
    package let texts: [String: String]
    /// Sentences for the log: valid, and probably not meant.
    package let warnings: [String]
}

package enum ConfigurationLoader {
    /// Resolves and checks all keys.
    ///
    /// - Parameter coreCount: what `media.workers: 0` means.
    /// - Throws: the first error found; files are read, nothing else is touched.
    package static func load(
        _ request: ConfigurationRequest,
        coreCount: Int = ProcessInfo.processInfo.activeProcessorCount
    ) throws(ConfigurationError) -> LoadedConfiguration {
        let sources = try ConfigurationSources(request)
        var configuration = SluiceConfiguration()
        var origins: [String: ConfigurationOrigin] = [:]
        var texts: [String: String] = [:]
        for key in ConfigurationKeys.all {
            let (elements, origin) = sources.text(for: key)
            origins[key.name] = origin
            let value = key.isSecret && !elements.isEmpty ? "[redacted]" : elements.joined(separator: ",")
            texts[key.name] = printable(value)
            guard key.assign(elements, &configuration) else {
                throw .badValue(key: key.name, value: value, origin: origin, mend: key.mend)
            }
        }
        if configuration.media.workers == 0 { configuration.media.workers = min(256, max(1, coreCount)) }
        let check = ConfigurationCheck(configuration, origins: origins, isDevelopment: sources.isDevelopment)
        try check.run()
        return LoadedConfiguration(
            configuration: configuration,
            isDevelopment: sources.isDevelopment,
            origins: origins,
            texts: texts,
            warnings: check.warnings
        )
    }
}

/// The rules that hold between keys.
private struct ConfigurationCheck {
    private let configuration: SluiceConfiguration
    private let origins: [String: ConfigurationOrigin]
    private let isDevelopment: Bool

    init(_ configuration: SluiceConfiguration, origins: [String: ConfigurationOrigin], isDevelopment: Bool) {
        self.configuration = configuration
        self.origins = origins
        self.isDevelopment = isDevelopment
    }

    func run() throws(ConfigurationError) {
        try self.checkTLS()
        try self.checkMedia()
        if self.configuration.admin.token == nil, !isLoopback(self.configuration.admin.host) {
            throw .missing(
                key: "admin.token",
                mend:
                    "admin.host is \(printable(self.configuration.admin.host)), which others can reach, so set a token "
                    + "(openssl rand -hex 32) or admin.host to 127.0.0.1"
            )
        }
        if !self.isDevelopment, self.configuration.auth.keys.isEmpty {
            throw .missing(
                key: "auth.keys",
                mend: "make a secret with \"openssl rand -hex 32\" and set auth.keys: {my-key: THE_SECRET} in the file "
                    + "or SLUICE_AUTH_KEYS=my-key:THE_SECRET, or start with --dev to let anyone on this machine join"
            )
        }
    }

    var warnings: [String] {
        var warnings: [String] = []
        if self.configuration.auth.keys.isEmpty {
            warnings.append(
                isLoopback(self.configuration.http.host)
                    ? "development mode: anyone on this machine may join any room"
                    : "development mode on \(self.configuration.http.host): anyone who reaches this port may join any room"
            )
        }
        for (key, secret) in self.configuration.auth.keys.sorted(by: { $0.key < $1.key })
        where secret.value.utf8.count < 32 {
            warnings.append(
                "auth.keys: the secret of \(printable(key)) is shorter than the 32 bytes that HS256 asks for "
                    + "(RFC 7518 section 3.2); make one with \"openssl rand -hex 32\""
            )
        }
        if self.configuration.http.corsOrigins == ["*"], !self.isDevelopment {
            warnings.append("http.corsOrigins is *: every web page may use the HTTP interface")
        }
        return warnings
    }

    private func checkTLS() throws(ConfigurationError) {
        let tls = self.configuration.http.tls
        if tls.certificate != nil, tls.privateKey == nil {
            throw .missing(key: "http.tls.privateKey", mend: "set it to the PEM file of the certificate's private key")
        }
        if tls.privateKey != nil, tls.certificate == nil {
            throw .missing(key: "http.tls.certificate", mend: "set it to the PEM file of the private key's certificate")
        }
        for (key, path) in [("http.tls.certificate", tls.certificate), ("http.tls.privateKey", tls.privateKey)] {
            guard let path, !FileManager.default.isReadableFile(atPath: path) else { continue }
            throw self.bad(
                key,
                path,
                mend: "there is no file that Sluice may read, so check the path and its permissions"
            )
        }
    }

    private func checkMedia() throws(ConfigurationError) {
        let media = self.configuration.media
        let last = Int(media.port) + media.workers - 1
        if last > 65_535 {
            throw self.bad(
                "media.port",
                "\(media.port)",
                mend:
                    "each of the \(media.workers) workers needs a port, up to \(last), so choose at most \(65_536 - media.workers)"
            )
        }
        if let address = media.advertisedAddresses.first(where: { $0.isUnspecified }) {
            throw self.bad("media.advertisedAddresses", address.ip, mend: "give addresses that clients can send to")
        }
    }

    private func bad(_ key: String, _ value: String, mend: String) -> ConfigurationError {
        .badValue(key: key, value: value, origin: self.origins[key] ?? .fallback, mend: mend)
    }
}

package func isLoopback(_ host: String) -> Bool {
    host == "localhost" || TransportAddress(host, port: 0)?.isLoopback == true
}
