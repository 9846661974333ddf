import Foundation

guard let options = Options(Array(CommandLine.arguments.dropFirst())) else {
    print(Options.usage)
    exit(2)
}
if let count = options.soak { exit(Soak.run(count, options: options) ? 0 : 1) }
let scenarios = Scenario.all.filter { $0.isSelected(by: options.only) }
guard !scenarios.isEmpty else {
    print("no such row; there are: " + Scenario.all.map(\.id).joined(separator: " "))
    exit(2)
}
let ours = System.sluice(options.rules)
if options.isVerbose {
    for scenario in scenarios { print(TimeSeries.text(scenario, system: ours, seed: options.seed), terminator: "") }
    exit(0)
}
if options.isMutating { exit(Mutations.run(scenarios, options: options) ? 0 : 1) }
let clock = ContinuousClock()
let start = clock.now
let rows = Runner.run(scenarios, ours: ours, options: options)
let table = Table.text(rows)
print(table, terminator: "")
let missed = rows.filter { $0.ours?.isMet == false }.map(\.scenario.id)
let verdict =
    "\(rows.count - missed.count) of \(rows.count) rows ok"
    + (missed.isEmpty ? "" : "; missed: " + missed.joined(separator: " "))
print("\n\(verdict)\n\(start.duration(to: clock.now))")
if let output = options.output {
    do {
        let document = Table.document(table, verdict: verdict, options: options)
        try document.write(toFile: output, atomically: true, encoding: .utf8)
    } catch {
        print("cannot write \(output): \(error)")
        exit(2)
    }
}
exit(missed.isEmpty ? 0 : 1)
