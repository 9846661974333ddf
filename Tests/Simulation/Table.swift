/// The results as a table that is Markdown and can be read as it is: one row a scenario, the verdict last.
enum Table {
    static func text(_ rows: [RowResult]) -> String {
        var lines = ["| id | scenario | others | Sluice | goal | |", "|---|---|---|---|---|---|"]
        for row in rows {
            let others = row.systems.filter { !$0.system.isOurs }.map { result in
                "\(result.system.name): " + result.figures.map(\.valueText).joined(separator: " · ")
            }
            guard let ours = row.ours else { continue }
            let reason = ours.isMet ? nil : row.scenario.reason
            let cells = [
                row.scenario.id, row.scenario.title + (reason.map { " (\($0))" } ?? ""),
                others.joined(separator: "<br>"),
                ours.figures.map(\.valueText).joined(separator: " · "),
                ours.figures.map(\.goalText).joined(separator: " · "), ours.isMet ? "ok" : "missed",
            ]
            lines.append("| " + cells.joined(separator: " | ") + " |")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The table as a page of docs.
    static func document(_ table: String, verdict: String, options: Options) -> String {
        """
        # Congestion control: results of the simulator

        Written by `make sim`; nothing here is edited by hand. Each figure is the median of seeds 1 to \(options.seeds),
        the worst seed in brackets; others run with at most 3 seeds. `!` marks a figure that is not met. A row is `ok`
        when ours meets all its goals, `missed` when it misses one; the others' figures are for comparison.

        - Rates and utilisation are of packets on the wire, IP and UDP headers included, without padding. Delay (q) is what
          a packet waits on the link for others, for pauses and for jitter.
        - *GCC* is our estimator without our rules, with our allocator. *GCC +
          JVB* has Jitsi Videobridge's padding and its 15 % rule in its place. *LiveKit* is a model of its congestion
          detector and probes by its published constants. All run on the same simulated paths.

        \(table)
        \(verdict)

        """
    }
}
