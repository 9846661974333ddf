/// One number that a trial has measured, and what it should be.
struct Figure: Sendable {
    enum Goal: Sendable {
        /// For the median of all seeds, and where given for the worst.
        case atMost(Double, worst: Double?)
        case atLeast(Double, worst: Double?)
        case within(ClosedRange<Double>)
        /// Told, and judged by nobody.
        case none
    }

    let name: String
    /// Infinite = what was waited for never happened.
    let value: Double
    let goal: Goal

    static func atMost(_ name: String, _ value: Double?, _ limit: Double, worst: Double? = nil) -> Figure {
        Figure(name: name, value: value ?? .infinity, goal: .atMost(limit, worst: worst))
    }

    static func atLeast(_ name: String, _ value: Double?, _ limit: Double, worst: Double? = nil) -> Figure {
        Figure(name: name, value: value ?? 0, goal: .atLeast(limit, worst: worst))
    }

    static func within(_ name: String, _ value: Double, _ range: ClosedRange<Double>) -> Figure {
        Figure(name: name, value: value, goal: .within(range))
    }

    static func told(_ name: String, _ value: Double?) -> Figure {
        Figure(name: name, value: value ?? .infinity, goal: .none)
    }
}

/// The same figure of all seeds.
struct FigureSummary: Sendable {
    let name: String
    let goal: Figure.Goal
    let values: [Double]

    init(_ figures: [Figure]) {
        self.name = figures[0].name
        self.goal = figures[0].goal
        self.values = figures.map(\.value)
    }

    /// The lower of the two middle ones of an even number.
    var median: Double { self.values.sorted()[(self.values.count - 1) / 2] }

    /// The worst by the goal.
    var worst: Double {
        let sorted = self.values.sorted()
        switch self.goal {
        case .atMost, .none: return sorted[sorted.count - 1]
        case .atLeast: return sorted[0]
        case .within(let range):
            let middle = (range.lowerBound + range.upperBound) / 2
            return sorted.max { abs($0 - middle) < abs($1 - middle) } ?? middle
        }
    }

    var isMet: Bool {
        switch self.goal {
        case .atMost(let limit, let worst): self.median <= limit && worst.map { self.worst <= $0 } ?? true
        case .atLeast(let limit, let worst): self.median >= limit && worst.map { self.worst >= $0 } ?? true
        case .within(let range): range.contains(self.median)
        case .none: true
        }
    }

    var goalText: String {
        switch self.goal {
        case .atMost(let limit, let worst): "\(self.name) ≤ \(number(limit))" + (worst.map { " [\(number($0))]" } ?? "")
        case .atLeast(let limit, let worst):
            "\(self.name) ≥ \(number(limit))" + (worst.map { " [\(number($0))]" } ?? "")
        case .within(let range): "\(self.name) \(number(range.lowerBound))–\(number(range.upperBound))"
        case .none: self.name
        }
    }

    /// Median and worst.
    var valueText: String {
        let median = number(self.median)
        let worst = number(self.worst)
        let mark = self.isMet ? "" : "!"
        return (median == worst ? median : "\(median) [\(worst)]") + mark
    }
}

/// Three digits that matter.
func number(_ value: Double) -> String {
    guard value.isFinite else { return "never" }
    let digits = abs(value) >= 100 ? 0 : abs(value) >= 10 ? 1 : 2
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let scaled = Int((abs(value) * scale).rounded())
    var result = String(scaled / Int(scale))
    if digits > 0 {
        let fraction = String(scaled % Int(scale))
        result += "." + String(repeating: "0", count: digits - fraction.count) + fraction
        while result.hasSuffix("0") { result.removeLast() }
        if result.hasSuffix(".") { result.removeLast() }
    }
    return (value < 0 && scaled != 0 ? "-" : "") + result
}
