import ArgumentParser
import Basics
import Dispatch
import Foundation
import LoadClient
import LoadRunner

/// Loads a WebRTC server with publishers and subscribers that do all that a browser does on the wire, and says what
/// became of every packet.
@main
struct SluiceLoad: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sluice-load",
        abstract: "Publishers and subscribers without a browser, for load tests.",
        discussion: """
            With a scenario file, the file says who joins and what must hold; loadtest/README.md has its keys. Without \
            one, the options do. Over WHIP and WHEP each publisher gets /whip/ROOM/IDENTITY and each subscriber \
            /whep/ROOM/IDENTITY of a publisher, so any server that speaks these can be tested. Forwarding latency is \
            measured inside this process. Exit codes: 0 all limits were kept, 1 one was not or the \
            run ended early, 2 wrong use.
            """
    )

    @Argument(help: "Scenario files (YAML), run one after the other.")
    var scenarios: [String] = []
    @OptionGroup(title: "Server")
    var server: ServerOptions
    @OptionGroup(title: "Scenario (in place of a file, or over it)")
    var quick: ScenarioOptions
    @OptionGroup(title: "Report")
    var output: ReportOptions
    @OptionGroup(title: "How much the server holds")
    var search: SearchOptions

    static func main() async {
        do {
            // With --help it is another command.
            var command = try Self.parseAsRoot()
            if var load = command as? Self { try await load.run() } else { try command.run() }
        } catch {
            // Of the three exit codes, wrong use is 2; the library would say 64.
            guard Self.exitCode(for: error) == .validationFailure else { Self.exit(withError: error) }
            FileHandle.standardError.write(Data((Self.fullMessage(for: error) + "\n").utf8))
            Foundation.exit(2)
        }
    }

    mutating func run() async throws {
        let status: Int32
        do {
            status = try await self.executeUntilInterrupted()
        } catch let error as ScenarioError {
            status = self.complain("\(error)")
        } catch let error as UsageError {
            status = self.complain(error.message)
        } catch let error as LoadClientError {
            status = self.complain("\(error)")
        }
        if status != 0 { throw ExitCode(status) }
    }

    private func complain(_ text: String) -> Int32 {
        FileHandle.standardError.write(Data("sluice-load: \(text)\n".utf8))
        return 2
    }

    /// The first interrupt, or the first request to end, ends the run early, with its report; the second ends the process.
    private func executeUntilInterrupted() async throws -> Int32 {
        let command = self
        let task = Task { try await command.execute() }
        let sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                signal(SIGINT, SIG_DFL)
                signal(SIGTERM, SIG_DFL)
                task.cancel()
            }
            source.resume()
            return source
        }
        defer { for source in sources { source.cancel() } }
        return try await task.value
    }

    private func execute() async throws -> Int32 {
        let target = try await self.server.target()
        var scenarios: [Scenario] = []
        for path in self.scenarios { scenarios.append(try self.quick.adjust(ScenarioReader.read(path: path))) }
        if scenarios.isEmpty { scenarios.append(try self.quick.scenario()) }
        for index in scenarios.indices where scenarios[index].transport == .whip {
            scenarios[index].receivesAtOnce = target.receivesAtOnce
        }
        let files = ProcessLimits.raiseOpenFiles()
        for scenario in scenarios {
            guard scenario.openFiles <= files else {
                throw UsageError(
                    "\(scenario.name) needs some \(scenario.openFiles) open files, and \(files) are allowed: raise ulimit -n"
                )
            }
        }
        let runner = Runner(
            target: target,
            output: self.output,
            search: self.search,
            count: scenarios.count,
            files: files
        )
        try runner.checkFiles()
        if let token = target.token {
            for scenario in scenarios {
                let now = Date.now.timeIntervalSince1970
                for note in TokenNotes.notes(on: token, for: scenario, rooms: target.roomPrefix, now: now) {
                    FileHandle.standardError.write(Data("sluice-load: \(note)\n".utf8))
                }
            }
        }
        var passed = true
        for (index, scenario) in scenarios.enumerated() {
            // An interrupt means all of them.
            guard !Task.isCancelled else { return 1 }
            if try await runner.run(scenario, number: index) == false { passed = false }
        }
        return passed ? 0 : 1
    }
}

/// The command line is wrong.
struct UsageError: Error {
    let message: String
    init(_ message: String) { self.message = message }
}
