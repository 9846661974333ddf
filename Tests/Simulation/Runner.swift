import Foundation
import Synchronization

/// All seeds of one scenario with one system.
struct SystemResult: Sendable {
    let system: System
    let figures: [FigureSummary]

    var isMet: Bool { self.figures.allSatisfy(\.isMet) }
}

struct RowResult: Sendable {
    let scenario: Scenario
    let systems: [SystemResult]

    var ours: SystemResult? { self.systems.first(where: \.system.isOurs) }
}

/// Runs scenarios, seeds and systems on all cores. A trial knows nothing of the others, so the order in which they come
/// to run changes no figure.
enum Runner {
    private struct Job: Sendable {
        let row: Int
        let system: System
        let seed: UInt64
    }

    private static let baselineSeeds = 3

    static func run(_ scenarios: [Scenario], ours: System, options: Options) -> [RowResult] {
        var jobs: [Job] = []
        for (row, scenario) in scenarios.enumerated() {
            for system in Self.systems(of: scenario, ours: ours, options: options) {
                let seeds = system.isOurs ? options.seeds : min(options.seeds, Self.baselineSeeds)
                for seed in 0..<seeds {
                    jobs.append(Job(row: row, system: system, seed: options.firstSeed + UInt64(seed)))
                }
            }
        }
        // Long ones first, so that no core is left with one at the end.
        let order = jobs.indices.sorted { scenarios[jobs[$0].row].seconds > scenarios[jobs[$1].row].seconds }
        let ordered = order.map { jobs[$0] }
        let figures = Self.parallel(ordered.count, threads: options.threads) { index in
            let job = ordered[index]
            return scenarios[job.row].run(Trial(system: job.system, seed: job.seed))
        }
        var byJob = [[Figure]](repeating: [], count: jobs.count)
        for (position, index) in order.enumerated() { byJob[index] = figures[position] }
        return scenarios.enumerated().map { row, scenario in
            let systems = Self.systems(of: scenario, ours: ours, options: options).map { system in
                let runs = jobs.indices.filter { jobs[$0].row == row && jobs[$0].system == system }.map { byJob[$0] }
                let summaries = runs[0].indices.map { figure in FigureSummary(runs.map { $0[figure] }) }
                return SystemResult(system: system, figures: summaries)
            }
            return RowResult(scenario: scenario, systems: systems)
        }
    }

    private static func systems(of scenario: Scenario, ours: System, options: Options) -> [System] {
        options.hasBaselines ? scenario.baselines + [ours] : [ours]
    }

    /// `count` results in order, computed by several threads.
    static func parallel<Result: Sendable>(
        _ count: Int,
        threads: Int?,
        _ body: @escaping @Sendable (Int) -> Result
    ) -> [Result] {
        let next = Atomic<Int>(0)
        let results = Mutex<[Result?]>(Array(repeating: nil, count: count))
        DispatchQueue.concurrentPerform(iterations: threads ?? ProcessInfo.processInfo.activeProcessorCount) { _ in
            while true {
                let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard index < count else { return }
                let result = body(index)
                results.withLock { $0[index] = result }
            }
        }
        return results.withLock { $0.compactMap(\.self) }
    }
}
