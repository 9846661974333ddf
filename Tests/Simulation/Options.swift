import CongestionControl

/// What the command line asks for.
struct Options: Sendable {
    static let usage = """
        usage: simulation [--only ID,...] [--seeds N] [--from N] [--rules V,S,...] [--no-baselines] [--threads N] [--seed N]
                          [--output FILE] [--verbose] [--mutations] [--soak [N]]
          --only        rows, as E5,S3; a name stands for all that begin with it and a slash
          --seeds       seeds 1...N of ours, 10 if not said; baselines get at most 3
          --from        the first seed, 1 if not said: figures tuned on some seeds are judged on others
          --rules       the estimator's rules: letters of V,S,D,P,R,L,F,M or none
          --output      also writes the table to a file
          --verbose     prints what happened in bins of 100 ms as CSV, of one seed (--seed N), and no table
          --mutations   turns each rule off in turn and tells which rows miss their goals
          --soak        N random scenarios, from seed --from
        """

    var only: [String] = []
    var seeds = 10
    var firstSeed: UInt64 = 1
    var seed: UInt64 = 1
    var rules = EstimatorRules.sluice
    var hasBaselines = true
    var threads: Int?
    var output: String?
    var isVerbose = false
    var isMutating = false
    var soak: Int?

    /// - Returns: `nil` when it cannot be read.
    init?(_ arguments: [String]) {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "--only":
                guard let value = rest.popFirst() else { return nil }
                self.only += value.split(separator: ",").map(String.init)
            case "--seeds":
                guard let value = rest.popFirst().flatMap(Int.init), value > 0 else { return nil }
                self.seeds = value
            case "--from":
                guard let value = rest.popFirst().flatMap(UInt64.init), value < 1 << 32 else { return nil }
                self.firstSeed = value
            case "--seed":
                guard let value = rest.popFirst().flatMap(UInt64.init) else { return nil }
                self.seed = value
            case "--rules":
                guard let value = rest.popFirst() else { return nil }
                guard let rules = EstimatorRules(letters: value == "none" ? "" : value) else { return nil }
                self.rules = rules
            case "--no-baselines": self.hasBaselines = false
            case "--threads":
                guard let value = rest.popFirst().flatMap(Int.init), value > 0 else { return nil }
                self.threads = value
            case "--output":
                guard let value = rest.popFirst() else { return nil }
                self.output = value
            case "--verbose": self.isVerbose = true
            case "--mutations": self.isMutating = true
            case "--soak":
                self.soak = rest.first.flatMap(Int.init) ?? 1_000
                if rest.first.flatMap({ Int($0) }) != nil { rest.removeFirst() }
            default: return nil
            }
        }
    }
}
