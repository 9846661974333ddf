import CongestionControl

/// Turns each rule off in turn: a rule that no row misses is dead weight.
enum Mutations {
    /// - Returns: whether each rule is worth something.
    static func run(_ scenarios: [Scenario], options: Options) -> Bool {
        var options = options
        options.hasBaselines = false
        let whole = Runner.run(scenarios, ours: .sluice(options.rules), options: options)
        let met = Set(whole.filter { $0.ours?.isMet == true }.map(\.scenario.id))
        var isWell = true
        print("| rule off | rows missed without it |\n|---|---|")
        for (letter, rule) in EstimatorRules.letters where options.rules.contains(rule) {
            let rows = Runner.run(scenarios, ours: .sluice(options.rules.subtracting(rule)), options: options)
            let missed = rows.filter { $0.ours?.isMet == false && met.contains($0.scenario.id) }.map(\.scenario.id)
            print("| \(letter) | \(missed.isEmpty ? "none: dead weight" : missed.joined(separator: " ")) |")
            if missed.isEmpty { isWell = false }
        }
        let unmet = whole.filter { $0.ours?.isMet == false }.map(\.scenario.id)
        print("\nmissed with all rules: " + (unmet.isEmpty ? "none" : unmet.joined(separator: " ")))
        return isWell
    }
}
