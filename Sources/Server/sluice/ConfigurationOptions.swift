import ArgumentParser
import Foundation
import ServerConfiguration

/// What `serve` and `check-config` take: flags that are keys are not known to the argument parser.
struct ConfigurationOptions: ParsableArguments {
    @Option(name: .long, help: ArgumentHelp("The configuration file.", valueName: "file"))
    var config: String?

    @Flag(name: .long, help: "Loopback only, and anyone may join. The default without a file and without keys.")
    var dev = false

    @Argument(parsing: .allUnrecognized, help: ArgumentHelp(visibility: .hidden))
    var keys: [String] = []

    var request: ConfigurationRequest {
        ConfigurationRequest(
            file: self.config,
            development: self.dev,
            arguments: self.keys,
            environment: ProcessInfo.processInfo.environment
        )
    }

    func load() throws(StartupFailure) -> LoadedConfiguration {
        do { return try ConfigurationLoader.load(self.request) } catch { throw .configuration(error.description) }
    }

    /// Every key with its flag and default, for `--help`.
    static var discussion: String {
        let keys = ConfigurationKeys.all.map { key in
            "  \(key.flag) (\(key.fallbackText))\n      \(key.summary)"
        }
        return """
            Each key of the configuration is a flag (--media-port 7880 or --media-port=7880), an environment variable \
            (SLUICE_MEDIA_PORT) and an entry of the file (media.port); the first of these that is set counts. Lists are \
            comma-separated. Keys, with their defaults:

            \(keys.joined(separator: "\n"))
            """
    }
}
