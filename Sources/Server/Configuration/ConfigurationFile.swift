import Configuration
import Foundation
import Yams

/// `config/sluice.yaml`, read strictly: a key that Sluice does not know, or one that stands there twice, is an error.
struct ConfigurationFile {
    /// The values as swift-configuration looks them up, by key.
    let provider: InMemoryProvider
    /// Where each key stands, from 1.
    let lines: [String: Int]

    /// Larger files are not configuration.
    private static let maxBytes = 1 << 20

    init(path: String) throws(ConfigurationError) {
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            throw .unreadableFile(
                path: path,
                reason: FileManager.default.fileExists(atPath: path) ? "no access" : "no such file"
            )
        }
        guard data.count <= Self.maxBytes, let text = String(data: data, encoding: .utf8) else {
            throw .unreadableFile(path: path, reason: "it is not UTF-8 text of at most 1 MiB")
        }
        try self.init(text: text, path: path)
    }

    init(text: String, path: String) throws(ConfigurationError) {
        var reader = FileReader(path: path)
        if let root = try Self.compose(text, path: path), !root.isNull {
            guard case .mapping(let mapping) = root else {
                throw .malformedFile(
                    path: path,
                    line: root.mark?.line ?? 1,
                    reason: "give a map of keys such as media: {port: 7880}"
                )
            }
            try reader.read(mapping, below: [])
        }
        self.provider = InMemoryProvider(name: path, values: reader.values)
        self.lines = reader.lines
    }

    private static func compose(_ text: String, path: String) throws(ConfigurationError) -> Node? {
        do {
            return try Yams.compose(yaml: text)
        } catch YamlError.scanner(_, let problem, let mark, _), YamlError.parser(_, let problem, let mark, _),
            YamlError.composer(_, let problem, let mark, _)
        {
            throw .malformedFile(path: path, line: mark.line, reason: problem)
        } catch YamlError.duplicatedKeysInMapping(let names, let context) {
            let reason = "\(names.sorted().joined(separator: ", ")) stands there twice: keep one"
            throw .malformedFile(path: path, line: context.mark.line, reason: reason)
        } catch {
            throw .malformedFile(path: path, line: 1, reason: "it can't be parsed")
        }
    }
}

/// Walks the tree and collects what the known keys are set to.
private struct FileReader {
    let path: String
    var values: [AbsoluteConfigKey: ConfigValue] = [:]
    var lines: [String: Int] = [:]

    mutating func read(_ mapping: Node.Mapping, below prefix: [String]) throws(ConfigurationError) {
        for (key, node) in mapping {
            let line = key.mark?.line ?? 0
            guard let component = key.scalar?.string else {
                throw .malformedFile(path: self.path, line: line, reason: "a key must be text")
            }
            let components = prefix + [component]
            let name = components.joined(separator: ".")
            if let known = ConfigurationKeys.all.first(where: { $0.name == name }) {
                self.lines[name] = line
                guard let elements = try self.elements(of: node, for: known, line: line) else { continue }
                // A list with one scalar and a list are the same to a reader; a scalar key refuses two elements.
                let content: ConfigContent = .stringArray(elements)
                self.values[AbsoluteConfigKey(components)] = ConfigValue(content, isSecret: known.isSecret)
            } else if ConfigurationKeys.all.contains(where: { $0.name.hasPrefix(name + ".") }) {
                if node.isNull { continue }
                guard case .mapping(let inner) = node else {
                    throw .malformedFile(
                        path: self.path,
                        line: line,
                        reason: "\(name) is a group: give its keys, indented below it"
                    )
                }
                try self.read(inner, below: components)
            } else {
                let nearest = nearestName(to: name, among: ConfigurationKeys.all.map(\.name)) ?? ""
                throw .unknownKey(name: name, origin: .file(path: self.path, line: line), nearest: nearest)
            }
        }
    }

    /// `nil` for null, which leaves the default in place.
    private func elements(of node: Node, for key: ConfigurationKey, line: Int) throws(ConfigurationError) -> [String]? {
        if node.isNull { return nil }
        switch node {
        case .scalar(let scalar):
            return key.isList ? scalar.string.split(separator: ",").map { $0.trimmed } : [scalar.string]
        case .sequence(let sequence) where key.isList:
            let texts = sequence.compactMap { $0.scalar?.string }
            if texts.count == sequence.count { return texts }
        case .mapping(let mapping) where key.name == "auth.keys":
            // The file has a map, flags and variables have a list: `KEY:SECRET` is the form both come in.
            let pairs = mapping.compactMap { pair -> String? in
                guard let name = pair.key.scalar?.string, !name.contains(":"), let secret = pair.value.scalar?.string
                else {
                    return nil
                }
                return "\(name):\(secret)"
            }
            if pairs.count == mapping.count { return pairs }
        default:
            break
        }
        let value = key.isSecret ? "[redacted]" : "a list or a map"
        throw .badValue(key: key.name, value: value, origin: .file(path: self.path, line: line), mend: key.mend)
    }
}

extension Node {
    fileprivate var isNull: Bool {
        guard case .scalar(let scalar) = self else { return false }
        return scalar.style == .plain && ["", "~", "null"].contains(scalar.string)
    }
}

extension Substring {
    fileprivate var trimmed: String { self.trimmingCharacters(in: .whitespaces) }
}
