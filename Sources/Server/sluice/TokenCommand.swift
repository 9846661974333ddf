import ArgumentParser
import Basics
import Foundation
import Glibc
import Rooms
import ServerConfiguration
import Signalling

struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Print an access token.",
        discussion: "The secret is taken from --secret, or from auth.keys of the file or of SLUICE_AUTH_KEYS."
    )

    @Option(help: "The configuration file that has the API key's secret.")
    var config: String?

    @Option(help: "The API key; needed where there are several.")
    var key: String?

    @Option(help: "Its secret. Other users of this machine can see it in the list of processes.")
    var secret: String?

    @Option(help: "The room that the token opens; * = any.")
    var room: String

    @Option(help: "Who its bearer is. Without it, each client says so itself.")
    var identity: String?

    @Option(help: "The name that others see.")
    var name: String?

    @Flag(inversion: .prefixedNo, help: "May publish tracks.")
    var publish = true

    @Flag(inversion: .prefixedNo, help: "May receive tracks.")
    var subscribe = true

    @Flag(inversion: .prefixedNo, help: "May send data.")
    var data = true

    @Flag(inversion: .prefixedNo, help: "May mute and remove others.")
    var admin = false

    @Option(help: "How long it is valid, such as 90s, 30m or 6h.")
    var ttl = "6h"

    func validate() throws {
        guard let ttl = parseDuration(self.ttl), ttl > .zero else {
            throw ValidationError("--ttl is \"\(self.ttl)\": give a duration such as 90s, 30m or 6h.")
        }
        guard (1...128).contains(self.room.utf8.count) else {
            throw ValidationError("--room is \"\(self.room)\": give a name of 1 to 128 bytes.")
        }
    }

    func run() async throws {
        do {
            let (key, secret) = try self.signingKey()
            let now = Int64(Date().timeIntervalSince1970)
            let claims = TokenClaims(
                key: key,
                identity: self.identity,
                name: self.name,
                room: self.room,
                grants: Grants(publish: self.publish, subscribe: self.subscribe, data: self.data, admin: self.admin),
                expiresAt: now + (parseDuration(self.ttl)?.count ?? 0) / 1_000_000_000
            )
            writeLine(try await TokenAuthority.mint(claims, secret: secret), to: STDOUT_FILENO)
        } catch let failure as StartupFailure {
            failure.exit()
        }
    }

    private func signingKey() throws(StartupFailure) -> (String, Redacted<String>) {
        if let secret = self.secret {
            guard let key = self.key else { throw .configuration("--key is not set: name the API key of the secret.") }
            return (key, Redacted(secret))
        }
        let environment = ProcessInfo.processInfo.environment
        let loaded: LoadedConfiguration
        do {
            loaded = try ConfigurationLoader.load(ConfigurationRequest(file: self.config, environment: environment))
        } catch {
            throw .configuration(error.description)
        }
        let keys = loaded.configuration.auth.keys
        let names = keys.keys.sorted().joined(separator: ", ")
        if let key = self.key {
            guard let secret = keys[key] else {
                throw .configuration(
                    "--key is \"\(key)\": auth.keys has \(keys.isEmpty ? "no keys" : "only \(names)")."
                )
            }
            return (key, secret)
        }
        guard keys.count == 1, let only = keys.first else {
            throw .configuration(
                keys.isEmpty
                    ? "There is no key to sign with: give --key and --secret, or --config with a file that has auth.keys."
                    : "--key is not set: choose one of \(names)."
            )
        }
        return (only.key, only.value)
    }
}
