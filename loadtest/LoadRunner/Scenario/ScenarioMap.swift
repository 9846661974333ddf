import Basics
import Yams

/// A mapping of a scenario file, read key by key. Every error says the line, the key and what is allowed.
struct ScenarioMap {
    let file: String
    /// Of this mapping in the file; empty at the top.
    let path: String
    let line: Int
    private let entries: [String: Node]

    /// - Parameter allowed: the keys that there are; another one is an error.
    init(_ node: Node, path: String, file: String, allowed: [String]) throws(ScenarioError) {
        self.file = file
        self.path = path
        self.line = node.mark?.line ?? 0
        guard let mapping = node.mapping else {
            let keys = allowed.joined(separator: ", ")
            throw ScenarioError(
                file: file,
                line: self.line,
                key: path,
                message: "needs a mapping with keys of: \(keys)"
            )
        }
        var entries: [String: Node] = [:]
        for (key, value) in mapping {
            let name = key.string ?? ""
            let place = path.isEmpty ? name : "\(path).\(name)"
            let line = key.mark?.line ?? 0
            guard allowed.contains(name) else {
                throw ScenarioError(file: file, line: line, key: place, message: Self.unknown(name, allowed))
            }
            guard entries.updateValue(value, forKey: name) == nil else {
                throw ScenarioError(file: file, line: line, key: place, message: "stands here twice")
            }
        }
        self.entries = entries
    }

    var keys: [String] { self.entries.keys.sorted() }
    func has(_ key: String) -> Bool { self.entries[key] != nil }
    func node(_ key: String) -> Node? { self.entries[key] }
    func place(_ key: String) -> String { self.path.isEmpty ? key : "\(self.path).\(key)" }

    func error(_ key: String, _ message: String) -> ScenarioError {
        ScenarioError(
            file: self.file,
            line: self.entries[key]?.mark?.line ?? self.line,
            key: self.place(key),
            message: message
        )
    }

    // MARK: Scalars

    func text(_ key: String) throws(ScenarioError) -> String? {
        guard let node = self.entries[key] else { return nil }
        guard let scalar = node.scalar else { throw self.error(key, "needs a value, not a list or a mapping") }
        return scalar.string
    }

    func text(_ key: String, most: Int) throws(ScenarioError) -> String? {
        guard let text = try self.text(key) else { return nil }
        guard !text.isEmpty, text.utf8.count <= most else { throw self.error(key, "takes 1 to \(most) bytes of text") }
        return text
    }

    func flag(_ key: String) throws(ScenarioError) -> Bool? {
        guard let text = try self.text(key) else { return nil }
        switch text {
        case "true", "yes", "on": return true
        case "false", "no", "off": return false
        default: throw self.error(key, "is '\(Self.short(text))'; takes true or false")
        }
    }

    func integer(_ key: String, in range: ClosedRange<Int>) throws(ScenarioError) -> Int? {
        guard let text = try self.text(key) else { return nil }
        guard let value = Int(text.filter { $0 != "_" }), range.contains(value) else {
            throw self.error(
                key,
                "is '\(Self.short(text))'; takes a whole number from \(range.lowerBound) to \(range.upperBound)"
            )
        }
        return value
    }

    func choice<Value: RawRepresentable & CaseIterable>(_ key: String, _: Value.Type) throws(ScenarioError) -> Value?
    where Value.RawValue == String {
        guard let text = try self.text(key) else { return nil }
        guard let value = Value(rawValue: text) else {
            let all = Value.allCases.map(\.rawValue).joined(separator: ", ")
            throw self.error(key, "is '\(Self.short(text))'; takes one of: \(all)")
        }
        return value
    }

    func duration(_ key: String, in range: ClosedRange<Nanoseconds>) throws(ScenarioError) -> Nanoseconds? {
        try self.quantity(key, Quantity.duration, in: range, "a time such as 250ms, 30s or 2m") { Quantity.text($0) }
    }

    func bitrate(_ key: String, in range: ClosedRange<Bitrate>) throws(ScenarioError) -> Bitrate? {
        try self.quantity(key, Quantity.bitrate, in: range, "a bit rate such as 500k or 1.5M") {
            "\(Decimal.text(Double($0.bitsPerSecond) / 1e3, digits: 3))k"
        }
    }

    func fraction(_ key: String, in range: ClosedRange<Double>) throws(ScenarioError) -> Double? {
        try self.quantity(key, Quantity.fraction, in: range, "a share such as 2% or 0.02") {
            "\(Decimal.text($0 * 100, digits: 3))%"
        }
    }

    func rate(_ key: String, in range: ClosedRange<Double>) throws(ScenarioError) -> Double? {
        try self.quantity(key, Quantity.rate, in: range, "a rate such as 50/s or 30/min") {
            "\(Decimal.text($0, digits: 3))/s"
        }
    }

    private func quantity<Value: Comparable>(
        _ key: String,
        _ parse: (String) -> Value?,
        in range: ClosedRange<Value>,
        _ kind: String,
        _ print: (Value) -> String
    ) throws(ScenarioError) -> Value? {
        guard let text = try self.text(key) else { return nil }
        guard let value = parse(text), range.contains(value) else {
            let bounds = "from \(print(range.lowerBound)) to \(print(range.upperBound))"
            throw self.error(key, "is '\(Self.short(text))'; takes \(kind), \(bounds)")
        }
        return value
    }

    // MARK: Nested

    func map(_ key: String, allowed: [String]) throws(ScenarioError) -> ScenarioMap? {
        guard let node = self.entries[key] else { return nil }
        return try ScenarioMap(node, path: self.place(key), file: self.file, allowed: allowed)
    }

    /// A list of mappings, or one mapping in place of a list of one.
    func maps(_ key: String, allowed: [String], most: Int) throws(ScenarioError) -> [ScenarioMap] {
        guard let node = self.entries[key] else { return [] }
        guard let sequence = node.sequence else {
            return [try ScenarioMap(node, path: self.place(key), file: self.file, allowed: allowed)]
        }
        guard sequence.count <= most else { throw self.error(key, "has \(sequence.count) entries, at most \(most)") }
        var maps: [ScenarioMap] = []
        for (index, node) in sequence.enumerated() {
            let path = "\(self.place(key))[\(index)]"
            maps.append(try ScenarioMap(node, path: path, file: self.file, allowed: allowed))
        }
        return maps
    }

    // MARK: Words

    /// Names the nearest key that there is.
    private static func unknown(_ name: String, _ allowed: [String]) -> String {
        let nearest = allowed.min { self.distance($0, name) < self.distance($1, name) }
        let keys = allowed.joined(separator: ", ")
        guard let nearest, self.distance(nearest, name) <= max(2, name.count / 3) else {
            return "is no key here; there are: \(keys)"
        }
        return "is no key here; did you mean \(nearest)? There are: \(keys)"
    }

    /// Of Levenshtein, without regard to case.
    private static func distance(_ left: String, _ right: String) -> Int {
        let (left, right) = (Array(left.lowercased().prefix(64)), Array(right.lowercased().prefix(64)))
        var row = Array(0...right.count)
        for (i, a) in left.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, b) in right.enumerated() {
                let cost = a == b ? diagonal : diagonal + 1
                diagonal = row[j + 1]
                row[j + 1] = min(cost, row[j] + 1, diagonal + 1)
            }
        }
        return row[right.count]
    }

    private static func short(_ text: String) -> String { text.count > 60 ? "\(text.prefix(60))..." : text }
}
