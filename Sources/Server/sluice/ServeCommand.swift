import ArgumentParser
import ServerConfiguration

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run the server.",
        usage: "sluice serve [--config <file>] [--dev] [--KEY VALUE ...]",
        discussion: ConfigurationOptions.discussion
    )

    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
        do throws(StartupFailure) {
            let loaded = try self.options.load()
            ProcessLimits.apply(isDevelopment: loaded.isDevelopment)
            try await ServerAssembly(self.options.request, loaded).run()
        } catch {
            error.exit()
        }
    }
}
