import Foundation
import Glibc

/// A running `sluice` of this build, ended with its value at the latest.
final class ServerProcess {
    struct Exit: Equatable {
        var code: Int32
        var standardError: String
    }

    let readyLine: String
    private let process: Process
    private let errors: TemporaryFile

    /// Starts the server on free ports and waits for its first line on stdout; empty when it ended without one.
    init(_ arguments: [String], environment: [String: String] = [:]) throws {
        self.errors = try TemporaryFile("")
        let output = Pipe()
        self.process = Process()
        self.process.executableURL = Self.executable
        self.process.arguments = arguments
        self.process.environment = ["PATH": "/usr/bin:/bin"].merging(environment) { $1 }
        self.process.standardOutput = output
        self.process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: self.errors.path))
        try self.process.run()
        var line = Data()
        while let byte = try output.fileHandleForReading.read(upToCount: 1), byte.first != 10, !byte.isEmpty {
            line += byte
        }
        self.readyLine = String(decoding: line, as: UTF8.self)
    }

    deinit {
        if self.process.isRunning { kill(self.process.processIdentifier, SIGKILL) }
    }

    static let anyPorts = ["--http-port", "0", "--admin-port", "0", "--media-port", "0", "--media-workers", "1"]

    func send(_ signal: Int32) { kill(self.process.processIdentifier, signal) }

    func wait() throws -> Exit {
        self.process.waitUntilExit()
        return Exit(
            code: self.process.terminationStatus,
            standardError: try String(contentsOfFile: self.errors.path, encoding: .utf8)
        )
    }

    /// Beside the test bundle, which is the program that runs the tests.
    private static var executable: URL {
        URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().appendingPathComponent("sluice")
    }
}

/// A file that goes away with its value.
final class TemporaryFile {
    let path: String

    init(_ text: String) throws {
        self.path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-\(UUID().uuidString)").path
        try text.write(toFile: self.path, atomically: true, encoding: .utf8)
    }

    deinit { try? FileManager.default.removeItem(atPath: self.path) }
}
