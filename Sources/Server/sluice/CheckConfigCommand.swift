import ArgumentParser
import Glibc
import ServerConfiguration

struct CheckConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-config",
        abstract: "Check the configuration, and show every key's value and where it comes from.",
        usage: "sluice check-config [--config <file>] [--dev] [--KEY VALUE ...]"
    )

    @OptionGroup var options: ConfigurationOptions

    func run() throws {
        do {
            let loaded = try self.options.load()
            for key in ConfigurationKeys.all {
                let value = loaded.texts[key.name] ?? ""
                writeLine("\(key.name) = \(value)  (\(loaded.origins[key.name]?.description ?? ""))", to: STDOUT_FILENO)
            }
            for warning in loaded.warnings { writeLine("warning: \(warning)", to: STDERR_FILENO) }
            writeLine("The configuration is valid.", to: STDOUT_FILENO)
        } catch let failure {
            failure.exit()
        }
    }
}
