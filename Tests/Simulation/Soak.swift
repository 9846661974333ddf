import CongestionControl
import TestSupport

/// Many random paths, and feedback that nobody sane would send.
enum Soak {
    private static let fuzzRuns = 64
    private static let fuzzReports = 10_000

    /// - Returns: whether all is well.
    static func run(_ count: Int, options: Options) -> Bool {
        let results = Runner.parallel(count, threads: options.threads) {
            RandomScenario(seed: options.firstSeed + UInt64($0)).run(rules: options.rules)
        }
        let violations = Runner.parallel(Self.fuzzRuns, threads: options.threads) {
            fuzzFeedback(count: Self.fuzzReports, seed: UInt64($0 + 1), rules: options.rules)
        }
        let utilisation = FigureSummary(results.map { .atLeast("utilisation", $0.utilisation, 0.6) })
        let delay = FigureSummary(results.map { .atMost("p95 of the queue ms", $0.delay95, 250) })
        let starved = results.filter { $0.longestStarved > 30 }
        let broken = results.count { $0.isBroken }
        print("\(count) random paths of \(Int(RandomScenario.seconds)) s: median [worst]")
        print("\(utilisation.goalText): \(utilisation.valueText)")
        print("\(delay.goalText): \(delay.valueText)")
        print("stuck (over 30 s at less than half): \(starved.count), estimates out of bounds: \(broken)")
        for result in starved.prefix(10) { print("  stuck: \(RandomScenario(seed: result.seed).text)") }
        for result in results.sorted(by: { $0.utilisation < $1.utilisation }).prefix(3) {
            print("  least used, \(number(result.utilisation)): \(RandomScenario(seed: result.seed).text)")
        }
        for result in results.sorted(by: { $0.delay95 > $1.delay95 }).prefix(3) {
            print("  longest queue, \(number(result.delay95)) ms: \(RandomScenario(seed: result.seed).text)")
        }
        let outOfBounds = violations.reduce(0, +)
        print("\(Self.fuzzRuns * Self.fuzzReports) random reports: \(outOfBounds) estimates out of bounds")
        return utilisation.isMet && delay.isMet && starved.isEmpty && broken == 0 && outOfBounds == 0
    }
}
