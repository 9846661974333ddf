package import Basics

/// Reads one kind of value from text, the same way wherever the text came from.
struct ValueReader<Value: Equatable & Sendable>: Sendable {
    /// What to give instead, as the second half of a sentence.
    let mend: String
    /// `nil` when the text is no such value. A scalar has one element; an unset value has none, or an empty one.
    let read: @Sendable ([String]) -> Value?
}

extension ValueReader {
    /// One element, or none.
    private static func scalar(_ mend: String, _ read: @escaping @Sendable (String) -> Value?) -> Self {
        Self(mend: mend) { elements in
            guard elements.count <= 1 else { return nil }
            return read(elements.first ?? "")
        }
    }
}

extension ValueReader where Value == String {
    static func text(_ what: String) -> Self {
        .scalar("give \(what)") { $0.isEmpty ? nil : $0 }
    }
}

extension ValueReader where Value == String? {
    static func optionalText(_ what: String) -> Self {
        .scalar("give \(what)") { .some($0.isEmpty ? nil : $0) }
    }
}

extension ValueReader where Value == Redacted<String>? {
    static func secret(_ what: String) -> Self {
        .scalar("give \(what)") { .some($0.isEmpty ? nil : Redacted($0)) }
    }
}

extension ValueReader where Value == UInt16 {
    static var port: Self {
        .scalar("give a port number from 0 to 65535") { text in decimal(text).flatMap(UInt16.init(exactly:)) }
    }

    /// Takes 0 only.
    static func portOfWhatIsNotBuilt(_ what: String) -> Self {
        .scalar("\(what) is not built yet, so give 0") { text in decimal(text) == 0 ? 0 : nil }
    }
}

extension ValueReader where Value == Int {
    static func integer(_ range: ClosedRange<Int>) -> Self {
        .scalar("give a whole number from \(range.lowerBound) to \(range.upperBound)") { text in
            decimal(text).flatMap { range.contains($0) ? $0 : nil }
        }
    }
}

extension ValueReader where Value == Int? {
    static var lastN: Self {
        .scalar("give a whole number from 0 to 1000, or -1 for all") { text in
            if text == "-1" { return .some(nil) }
            return decimal(text).flatMap { 0...1_000 ~= $0 ? .some($0) : nil }
        }
    }
}

extension ValueReader where Value == Bitrate? {
    static var bitrate: Self {
        .scalar("give bits per second as a whole number, such as 2500000, or 0 for no cap") { text in
            guard let bits = decimal(text) else { return nil }
            return .some(bits == 0 ? nil : Bitrate(bitsPerSecond: Int64(bits)))
        }
    }
}

extension ValueReader where Value == Nanoseconds {
    static func duration(upTo longest: Nanoseconds) -> Self {
        .scalar("give a duration such as 500ms, 60s, 2m or 1h, at most \(durationText(longest))") { text in
            parseDuration(text).flatMap { $0 <= longest ? $0 : nil }
        }
    }
}

extension ValueReader where Value == [String] {
    static var origins: Self {
        Self(mend: "give a list of origins such as https://meet.example.org, or * alone for all") { elements in
            let isOrigin: (String) -> Bool = { text in
                guard let scheme = ["https://", "http://"].first(where: text.hasPrefix) else { return false }
                let host = text.dropFirst(scheme.count)
                return !host.isEmpty && !host.contains { $0 == "/" || $0.isWhitespace || $0 == "*" }
            }
            let origins = elements.filter { !$0.isEmpty }
            return origins == ["*"] || origins.allSatisfy(isOrigin) ? origins : nil
        }
    }
}

extension ValueReader where Value == [TransportAddress] {
    static func addresses(_ mend: String) -> Self {
        Self(mend: mend) { elements in
            let texts = elements.filter { !$0.isEmpty }
            let addresses = texts.compactMap { TransportAddress($0, port: 0) }
            return addresses.count == texts.count ? addresses : nil
        }
    }
}

extension ValueReader where Value == [CodecName] {
    static var codecs: Self {
        let names = CodecName.allCases.map(\.rawValue).joined(separator: ", ")
        return Self(mend: "give a list, each at most once, of \(names)") { elements in
            let texts = elements.filter { !$0.isEmpty }
            let codecs = texts.compactMap(CodecName.init(rawValue:))
            return !codecs.isEmpty && codecs.count == texts.count && Set(codecs).count == codecs.count ? codecs : nil
        }
    }
}

extension ValueReader where Value == [String: Redacted<String>] {
    /// Elements `KEY:SECRET`; the file's map arrives in this form too.
    static var keys: Self {
        Self(mend: "give a map of API keys to secrets, or KEY:SECRET,KEY2:SECRET2 in a flag or variable") { elements in
            var keys: [String: Redacted<String>] = [:]
            for element in elements where !element.isEmpty {
                let parts = element.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty, keys[String(parts[0])] == nil else {
                    return nil
                }
                keys[String(parts[0])] = Redacted(String(parts[1]))
            }
            return keys
        }
    }
}

extension ValueReader where Value: RawRepresentable<String> & CaseIterable {
    static var choice: Self {
        .scalar("give one of \(Value.allCases.map(\.rawValue).joined(separator: ", "))") { Value(rawValue: $0) }
    }
}

/// Digits only: `Int("+5")` is not what a configuration means by a number.
private func decimal(_ text: some StringProtocol) -> Int? {
    guard !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
    return Int(text)
}

private let durationUnits: [(suffix: String, length: Nanoseconds)] = [
    // `ms` before `s` and `m`: the longest suffix wins.
    ("ms", .milliseconds(1)), ("s", .seconds(1)), ("m", .seconds(60)), ("h", .seconds(3_600)),
]

/// `500ms`, `60s`, `2m`, `1h` or `0`; `nil` for anything else.
package func parseDuration(_ text: String) -> Nanoseconds? {
    if text == "0" { return .zero }
    guard let unit = durationUnits.first(where: { text.hasSuffix($0.suffix) }),
        let count = decimal(text.dropLast(unit.suffix.count))
    else { return nil }
    let (product, overflow) = Int64(count).multipliedReportingOverflow(by: unit.length.count)
    return overflow ? nil : Nanoseconds(product)
}

/// In the largest unit that needs no fraction.
func durationText(_ duration: Nanoseconds) -> String {
    let unit = durationUnits.last { duration.count % $0.length.count == 0 } ?? durationUnits[0]
    return "\(duration.count / unit.length.count)\(unit.suffix)"
}
