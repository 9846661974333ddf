import Foundation
import LoadClient
import LoadRunner

/// Runs scenarios and hands out their reports.
struct Runner {
    let target: RunTarget
    let output: ReportOptions
    let search: SearchOptions
    /// Of scenarios: with more than one, the files of reports have their names.
    let count: Int
    /// Files that this process may have open.
    let files: Int

    /// - Returns: whether all limits were kept; with `--find-limit`, whether any load kept them.
    func run(_ scenario: Scenario, number: Int) async throws -> Bool {
        let display = ProgressDisplay(isTerminal: ProcessLimits.hasTerminal) {
            FileHandle.standardError.write(Data($0.utf8))
        }
        let shows = self.output.progress
        let runOnce = { (scenario: Scenario) async throws -> RunReport in
            let run = ScenarioRun(scenario, on: self.target) { if shows { display.show($0) } }
            let report = try await run.run()
            if shows { display.end() }
            return report
        }
        guard self.search.isOn else {
            let report = try await runOnce(scenario)
            try self.write(text: report.text, json: report.json(), html: report.html, scenario, number)
            return report.passed
        }
        let raised = try self.search.raised(for: scenario)
        let most = min(max(self.search.most, 1), 100_000)
        let largest = raised.largest(most, in: scenario, files: self.files)
        let found = try await FoundLimit.find(
            scenario,
            raising: raised,
            to: largest,
            bound: largest < most ? "\(self.files) open files allow no more here" : "--most is \(most)",
            steps: min(max(self.search.steps, 1), 64),
            onStep: { step in if shows { display.note(step.text(raised)) } },
            isThere: { await self.target.isThere() },
            run: runOnce
        )
        try self.write(text: found.text, json: found.json(), html: found.html, scenario, number)
        return found.holds > 0 && !found.serverIsGone && !Task.isCancelled
    }

    private func write(text: String, json: String, html: String, _ scenario: Scenario, _ number: Int) throws {
        if self.output.json == "-" { print(json) } else { print(text) }
        if let path = self.output.json, path != "-" { try self.write(json + "\n", to: path, number) }
        if let path = self.output.html { try self.write(html, to: path, number) }
    }

    /// Refuses files that could not be written, before hours are spent on a run.
    func checkFiles() throws {
        for path in [self.output.json, self.output.html].compactMap({ $0 }) where path != "-" {
            for number in 0..<self.count {
                let file = self.path(path, number)
                let folder = (file as NSString).deletingLastPathComponent
                let manager = FileManager.default
                let exists = manager.fileExists(atPath: file)
                let type = try? manager.attributesOfItem(atPath: file)[.type] as? FileAttributeType
                guard type != .typeDirectory else { throw UsageError("cannot write \(file): it is a folder") }
                // It is replaced, so the folder must take files.
                guard manager.isWritableFile(atPath: folder.isEmpty ? "." : folder),
                    !exists || manager.isWritableFile(atPath: file)
                else { throw UsageError("cannot write \(file): no such folder, or no right to write there") }
            }
        }
    }

    /// Of several scenarios' reports: report.html becomes report-2.html.
    private func path(_ path: String, _ number: Int) -> String {
        guard self.count > 1 else { return path }
        var path = path
        let file = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
        let dot = path[file...].lastIndex(of: ".") ?? path.endIndex
        path.insert(contentsOf: "-\(number + 1)", at: dot)
        return path
    }

    private func write(_ text: String, to path: String, _ number: Int) throws {
        let path = self.path(path, number)
        do {
            try text.write(toFile: path, atomically: true, encoding: .utf8)
        } catch { throw UsageError("cannot write \(path): \(error.localizedDescription)") }
    }
}
