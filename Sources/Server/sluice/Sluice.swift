import ArgumentParser

@main
struct Sluice: AsyncParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "sluice",
        abstract: "A WebRTC selective forwarding unit.",
        version: "sluice \(version)",
        subcommands: [ServeCommand.self, CheckConfigCommand.self, TokenCommand.self],
        defaultSubcommand: ServeCommand.self
    )
}
