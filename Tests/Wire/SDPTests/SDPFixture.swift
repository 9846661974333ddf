import Foundation
import Testing

/// A captured session description in Tests/Fixtures/sdp.
struct SDPFixture: Sendable, CustomTestStringConvertible {
    let name: String
    /// With LF line endings, without blank lines.
    let text: String

    var testDescription: String { self.name }

    /// Every captured description; the suites fail when the folder is empty or gone.
    static let all: [SDPFixture] = {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Fixtures/sdp")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path())) ?? []
        return names.filter { $0.hasSuffix(".sdp") }.sorted().compactMap { name in
            guard let text = try? String(contentsOf: folder.appending(path: name), encoding: .utf8) else { return nil }
            let lines = text.split(whereSeparator: \.isNewline)
            return SDPFixture(name: name, text: lines.map { $0 + "\n" }.joined())
        }
    }()
}
