import Foundation
import ServerConfiguration
import Testing
import Yams

/// `config/sluice.yaml` is the documentation of the defaults, so it may not differ from them.
@Suite("config/sluice.yaml")
struct DefaultFileTests {
    private static let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../../config/sluice.yaml").standardized.path

    private static let key = ["--auth-keys", "k:0123456789abcdef0123456789abcdef"]

    @Test("has every key, and no other")
    func keys() throws {
        let root = try #require(try Yams.compose(yaml: String(contentsOfFile: Self.path, encoding: .utf8)))
        var names: Set<String> = []
        func collect(_ node: Node, _ prefix: String) {
            guard let mapping = node.mapping, !mapping.isEmpty else {
                names.insert(prefix)
                return
            }
            for (key, value) in mapping {
                collect(value, prefix.isEmpty ? key.string ?? "" : "\(prefix).\(key.string ?? "")")
            }
        }
        collect(root, "")
        #expect(names == Set(ConfigurationKeys.all.map(\.name)))
    }

    @Test("has the built-in defaults")
    func defaults() throws {
        // A file without keys is as good as none, but is not development.
        let empty = try TemporaryFile("")
        let builtIn = try ConfigurationLoader.load(
            ConfigurationRequest(file: empty.path, arguments: Self.key)
        ).configuration
        let file = try ConfigurationLoader.load(ConfigurationRequest(file: Self.path, arguments: Self.key))
            .configuration
        #expect(file == builtIn)
    }

    @Test("says of exactly the reloadable keys that they reload")
    func reloadMarks() throws {
        let lines = try String(contentsOfFile: Self.path, encoding: .utf8).split(
            separator: "\n",
            omittingEmptySubsequences: false
        )
        var prefix: [(indent: Int, name: String)] = []
        var comment = ""
        for line in lines {
            let indent = line.prefix { $0 == " " }.count
            let text = line.dropFirst(indent)
            if text.hasPrefix("#") {
                comment += text
                continue
            }
            guard let colon = text.firstIndex(of: ":") else {
                comment = ""
                continue
            }
            prefix.removeAll { $0.indent >= indent }
            prefix.append((indent, String(text[..<colon])))
            let name = prefix.map(\.name).joined(separator: ".")
            guard let key = ConfigurationKeys.all.first(where: { $0.name == name }) else { continue }
            #expect(comment.contains("[reload") == key.isReloadable, "\(name)")
            comment = ""
        }
    }
}

/// A file that goes away with its value.
final class TemporaryFile {
    let path: String

    init(_ text: String, suffix: String = ".yaml") throws {
        self.path =
            FileManager.default.temporaryDirectory.appendingPathComponent("sluice-\(UUID().uuidString)\(suffix)").path
        try self.write(text)
    }

    func write(_ text: String) throws {
        try text.write(toFile: self.path, atomically: true, encoding: .utf8)
    }

    deinit { try? FileManager.default.removeItem(atPath: self.path) }
}
