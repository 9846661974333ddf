import Basics
import Foundation
import LoadClient
import Yams

/// Reads scenarios: loadtest/README.md has the keys.
package enum ScenarioReader {
    static let topKeys = [
        "name", "description", "transport", "rooms", "joinRate", "settle", "duration", "seed", "threads", "publishers",
        "subscribers", "links", "churn", "speakers", "limits",
    ]
    static let largestCount = 100_000

    /// Reads a file.
    package static func read(path: String) throws(ScenarioError) -> Scenario {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw ScenarioError(file: path, line: 0, key: "", message: "there is no such file, or it cannot be read")
        }
        guard data.count <= 1 << 20 else {
            throw ScenarioError(file: path, line: 0, key: "", message: "has more than 1 MB: that is no scenario")
        }
        guard let text = String(data: data, encoding: .utf8) else {
            throw ScenarioError(file: path, line: 0, key: "", message: "is not UTF-8")
        }
        return try self.read(text, file: path)
    }

    /// - Parameter file: what errors call it; without a `name` the scenario has that of the file.
    package static func read(_ text: String, file: String) throws(ScenarioError) -> Scenario {
        let top = try ScenarioMap(self.compose(text, file: file), path: "", file: file, allowed: self.topKeys)
        let base = file.split(separator: "/").last.map(String.init) ?? file
        var scenario = Scenario(name: base.split(separator: ".").first.map(String.init) ?? base)
        if let name = try top.text("name", most: 200) { scenario.name = name }
        if let text = try top.text("description", most: 4_000) { scenario.description = text }
        if let transport = try top.choice("transport", Scenario.Transport.self) { scenario.transport = transport }
        if let rooms = try top.integer("rooms", in: 1...10_000) { scenario.rooms = rooms }
        if let rate = try top.rate("joinRate", in: 0.1...10_000) { scenario.joinRate = rate }
        if let time = try top.duration("settle", in: .zero ... .seconds(600)) { scenario.settle = time }
        if let time = try top.duration("duration", in: .seconds(1) ... .seconds(86_400)) { scenario.duration = time }
        if let seed = try top.integer("seed", in: 0...Int.max) { scenario.seed = UInt64(seed) }
        if let threads = try top.integer("threads", in: 1...64) { scenario.threads = threads }
        let links = try self.links(top)
        scenario.publishers = try self.groups("publishers", top, scenario.transport, links)
        scenario.subscribers = try self.groups("subscribers", top, scenario.transport, links)
        let used = Set(scenario.groups.compactMap(\.linkName))
        if let unused = links.keys.sorted().first(where: { !used.contains($0) }) {
            throw top.error("links", "nobody has the link '\(unused)': name it as a group's link, or leave it out")
        }
        scenario.churn = try self.churn(top)
        scenario.speakers = try self.speakers(top)
        if let limits = try self.limits(top) { scenario.limits = limits }
        try self.check(scenario, top)
        return scenario
    }

    private static func compose(_ text: String, file: String) throws(ScenarioError) -> Node {
        do {
            if let node = try Yams.compose(yaml: text) { return node }
        } catch let error as YamlError {
            throw ScenarioError(file: file, line: self.line(of: error), key: "", message: self.words(error))
        } catch { throw ScenarioError(file: file, line: 0, key: "", message: "\(error)") }
        throw ScenarioError(file: file, line: 0, key: "", message: "is empty; it needs publishers at least")
    }

    private static func line(of error: YamlError) -> Int {
        switch error {
        case .scanner(_, _, let mark, _), .parser(_, _, let mark, _), .composer(_, _, let mark, _): mark.line
        case .duplicatedKeysInMapping(_, let context): context.mark.line
        default: 0
        }
    }

    private static func words(_ error: YamlError) -> String {
        switch error {
        case .scanner(_, let problem, _, _), .parser(_, let problem, _, _), .composer(_, let problem, _, _):
            "this is no YAML: \(problem)"
        case .duplicatedKeysInMapping(let keys, _):
            "a key stands here twice: \(keys.map { "\($0)" }.joined(separator: ", "))"
        default: "this is no YAML: \(error)"
        }
    }

    private static func churn(_ top: ScenarioMap) throws(ScenarioError) -> Scenario.Churn? {
        guard let map = try top.map("churn", allowed: ["rate", "who"]) else { return nil }
        guard let rate = try map.rate("rate", in: 0.001...1_000) else {
            throw map.error("rate", "is missing: how many leave, and come anew, such as 2/s")
        }
        return Scenario.Churn(rate: rate, who: try map.choice("who", Scenario.Churn.Who.self) ?? .subscribers)
    }

    private static func speakers(_ top: ScenarioMap) throws(ScenarioError) -> Scenario.Speakers? {
        guard let map = try top.map("speakers", allowed: ["count", "every", "others"]) else { return nil }
        return Scenario.Speakers(
            count: try map.integer("count", in: 0...1_000) ?? 1,
            every: try map.duration("every", in: .milliseconds(100) ... .seconds(3_600)) ?? .seconds(5),
            others: try map.choice("others", Scenario.Speakers.Others.self) ?? .silent
        )
    }

    private static func limits(_ top: ScenarioMap) throws(ScenarioError) -> [Limit]? {
        guard let map = try top.map("limits", allowed: Limit.Kind.allCases.map(\.rawValue)) else { return nil }
        var limits: [Limit] = []
        for kind in Limit.Kind.allCases where map.has(kind.rawValue) {
            let most: Double? =
                switch kind.unit {
                // 5 is 500 %: of one core the server's CPU may be that.
                case .share: try map.fraction(kind.rawValue, in: 0...(kind == .serverCPU ? 1_000 : 1))
                case .seconds: try map.duration(kind.rawValue, in: .zero ... .seconds(3_600))?.inSeconds
                case .count: try map.integer(kind.rawValue, in: 0...Int(Int32.max)).map(Double.init)
                }
            if let most { limits.append(Limit(kind, most: most)) }
        }
        // That all are there is a limit unless the scenario says otherwise.
        return limits + Limit.always.filter { limit in !limits.contains { $0.kind == limit.kind } }
    }

    /// What hangs together.
    private static func check(_ scenario: Scenario, _ top: ScenarioMap) throws(ScenarioError) {
        guard scenario.publishersPerRoom > 0 else {
            throw top.error("publishers", "nobody publishes: set publishers.count to at least 1")
        }
        guard scenario.sessions <= self.largestCount else {
            throw top.error("rooms", "makes \(scenario.sessions) peer connections, at most \(self.largestCount)")
        }
        guard scenario.groups.count <= 32 else {
            throw top.error("subscribers", "makes \(scenario.groups.count) groups, at most 32")
        }
        if let churn = scenario.churn, scenario.count(of: churn.who) == 0 {
            throw top.error("churn", "nobody would leave: there are no \(churn.who.rawValue); see churn.who")
        }
        if scenario.transport == .whip, scenario.speakers?.others == .muted {
            throw top.error("speakers", "others: muted needs transport: websocket; WHIP cannot mute")
        }
    }
}
