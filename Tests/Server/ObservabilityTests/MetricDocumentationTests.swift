import Foundation
import Observability
import Testing

@Suite("docs/metrics.md")
struct MetricDocumentationTests {
    private static let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../../docs/metrics.md").standardized.path

    @Test("lists every metric with its type and help, and no other")
    func rows() throws {
        let text = try String(contentsOfFile: Self.path, encoding: .utf8)
        let rows = text.split(separator: "\n").filter { $0.hasPrefix("| `") }
            .map { $0.split(separator: "|").prefix(3).map { $0.trimmingCharacters(in: .whitespaces) } }
        let expected = MetricDefinitions.all.map { ["`\($0.name)`", $0.kind.rawValue, $0.help] }
        #expect(Set(rows) == Set(expected))
        #expect(rows.count == expected.count)
    }
}
