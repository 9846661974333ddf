package import Basics

/// Quantities as a scenario writes them: a number and its unit.
package enum Quantity {
    /// `30s`, `250ms`, `80us`, `2m`, `1h`, `0`.
    package static func duration(_ text: String) -> Nanoseconds? {
        if text == "0" { return .zero }
        let units: [(String, Double)] = [
            ("ns", 1), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3_600e9),
        ]
        return self.number(text, units, most: 9e18).map { Nanoseconds(Int64($0)) }
    }

    /// `1500k`, `1.5M`, `64kbps`, `2Mbps`; a number alone is bits per second.
    package static func bitrate(_ text: String) -> Bitrate? {
        let units: [(String, Double)] = [
            ("kbps", 1e3), ("kbit/s", 1e3), ("k", 1e3), ("Mbps", 1e6), ("Mbit/s", 1e6), ("M", 1e6), ("Gbps", 1e9),
            ("bps", 1), ("", 1),
        ]
        return self.number(text, units, most: 1e15).map { Bitrate(bitsPerSecond: Int64($0)) }
    }

    /// `2%` or `0.02`.
    package static func fraction(_ text: String) -> Double? { self.number(text, [("%", 0.01), ("", 1)], most: 1e6) }

    /// A second: `50/s`, `30/min`, `5`.
    package static func rate(_ text: String) -> Double? {
        self.number(text, [("/s", 1), ("/min", 1.0 / 60), ("", 1)], most: 1e9)
    }

    private static func number(_ text: String, _ units: [(String, Double)], most: Double) -> Double? {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == "." || $0 == "_") }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }
        guard let factor = units.first(where: { $0.0 == unit })?.1,
            let number = Double(digits.filter { $0 != "_" }), number.isFinite, number * factor <= most
        else { return nil }
        return number * factor
    }

    // MARK: Printing

    package static func text(_ duration: Nanoseconds) -> String {
        let count = duration.count
        for (unit, size) in [("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000)] as [(String, Int64)]
        where count != 0 && count % size == 0 {
            return "\(count / size) \(unit == "m" ? "min" : unit)"
        }
        return "\(Decimal.text(duration.inMilliseconds, digits: 3)) ms"
    }
}

/// Numbers for people.
package enum Decimal {
    /// At most so many digits after the point, without zeros at the end.
    package static func text(_ value: Double, digits: Int) -> String {
        guard value.isFinite else { return "-" }
        guard abs(value) < 1e15 else { return "\(value)" }
        let scale = (0..<max(digits, 0)).reduce(1.0) { scale, _ in scale * 10 }
        let rounded = (value * scale).rounded() / scale
        if rounded == rounded.rounded() { return Self.grouped(Int64(rounded)) }
        let whole = rounded.rounded(.towardZero)
        var rest = "\(((abs(rounded) - abs(whole)) * scale).rounded() / scale)".dropFirst(2)
        if rest.contains("e") { rest = "0" }
        return (rounded < 0 && whole == 0 ? "-" : "") + Self.grouped(Int64(whole)) + "." + rest
    }

    /// 12345678 as 12,345,678.
    package static func grouped(_ value: Int64) -> String {
        var digits = ""
        for (index, digit) in "\(value.magnitude)".reversed().enumerated() {
            if index > 0, index % 3 == 0 { digits.append(",") }
            digits.append(digit)
        }
        return (value < 0 ? "-" : "") + String(digits.reversed())
    }
}
