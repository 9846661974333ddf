import Foundation
import Logging

/// One event, already safe to print.
struct LogLine {
    let seconds: Int64
    let timestamp: String
    let level: Logger.Level
    let label: String
    let message: String
    var metadata: [(key: String, value: String)]
    let place: LogRateLimiter.Place

    var text: String {
        let fields = self.metadata.map { key, value in
            let needsQuotes = value.isEmpty || value.contains { $0 == " " || $0 == "\"" || $0 == "=" }
            let quoted =
                "\"" + value.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"") + "\""
            return " \(key)=\(needsQuotes ? quoted : value)"
        }
        let name = self.level.rawValue + String(repeating: " ", count: max(0, 8 - self.level.rawValue.count))
        return "\(self.timestamp) \(name) \(self.label): \(self.message)\(fields.joined())"
    }

    var json: String {
        var fields = [
            ("time", self.timestamp), ("level", self.level.rawValue), ("label", self.label), ("message", self.message),
        ]
        .map { "\(jsonString($0.0)):\(jsonString($0.1))" }
        if !self.metadata.isEmpty {
            let inner = self.metadata.map { "\(jsonString($0.key)):\(jsonString($0.value))" }
            fields.append("\"metadata\":{\(inner.joined(separator: ","))}")
        }
        return "{\(fields.joined(separator: ","))}"
    }
}

private func jsonString(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}

/// Makes text from clients harmless: control characters are written out, what looks like a token is hidden, and nothing
/// is longer than 2,000 characters (ATTACKS A-78).
func logSafe(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars.prefix(2_000) {
        switch scalar {
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        default:
            switch scalar.properties.generalCategory {
            // Format characters turn the direction of writing or hide text; line separators break lines.
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate:
                result += "\\u{\(String(scalar.value, radix: 16))}"
            default:
                result.unicodeScalars.append(scalar)
            }
        }
    }
    if text.unicodeScalars.count > 2_000 { result += "..." }
    return hidingTokens(result)
}

/// A JWT begins with `{"`, which is `eyJ` in Base64.
private func hidingTokens(_ text: String) -> String {
    guard text.contains("eyJ") else { return text }
    let isTokenCharacter: (Character) -> Bool = { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }
    var result = ""
    var rest = text[...]
    while let start = rest.range(of: "eyJ")?.lowerBound {
        result += rest[..<start]
        let token = rest[start...].prefix(while: isTokenCharacter)
        result += token.count(where: { $0 == "." }) >= 2 ? "[redacted]" : String(token)
        rest = rest[token.endIndex...]
    }
    return result + rest
}
