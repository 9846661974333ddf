/// A plot of something over time, as SVG that needs no script and takes its colours from the page.
package struct Plot: Sendable {
    package enum Style: Sendable {
        case lines
        /// Each series stands on the one before it.
        case stacked
        case dots
    }

    package struct Series: Sendable {
        package var name: String
        package var points: [(x: Double, y: Double)]
        /// Of the page: `s0` to `s4`, `r0` to `r5`.
        package var colour: String

        package init(_ name: String, colour: String, points: [(x: Double, y: Double)]) {
            self.name = name
            self.colour = colour
            self.points = points.filter { $0.x.isFinite && $0.y.isFinite }
        }
    }

    private static let (width, height) = (640.0, 230.0)
    private static let (left, right, top, bottom) = (58.0, 14.0, 12.0, 30.0)
    /// More points than that are joined: of lines the highest is drawn, of what is stacked the first of each.
    private static let largestPointCount = 240
    /// Of more dots than that only some are drawn, each as it is.
    private static let largestDotCount = 2_000

    let title: String
    /// Of the values.
    let unit: String
    let style: Style
    package private(set) var series: [Series]
    /// Stands behind the values of the horizontal axis.
    let axis: String
    /// When the measurement began.
    let mark: Double?

    /// - Parameter mark: gets a vertical line.
    package init(
        _ title: String,
        unit: String,
        style: Style = .lines,
        axis: String = " s",
        mark: Double? = nil,
        series: [Series]
    ) {
        self.title = title
        self.unit = unit
        self.style = style
        self.axis = axis
        self.mark = mark
        self.series = series.map { series in
            var series = series
            series.points = Self.thinned(series.points, style)
            return series
        }
    }

    package var isEmpty: Bool { self.series.allSatisfy(\.points.isEmpty) }

    package var html: String {
        let legend =
            self.series.count < 2
            ? ""
            : "<p class=\"legend\">"
                + self.series.map { "<span><i class=\"\($0.colour)\"></i>\(HTML.escaped($0.name))</span>" }.joined()
                + "</p>"
        return "<figure><figcaption>\(HTML.escaped(self.title)) <small>\(HTML.escaped(self.unit))</small></figcaption>"
            + legend + self.svg + "</figure>\n"
    }

    // MARK: Drawing

    private var svg: String {
        let xs = self.series.flatMap { $0.points.map(\.x) }
        let highest = self.stacks.flatMap { $0.map(\.high) }.max() ?? 0
        let (first, last) = (min(xs.min() ?? 0, 0), max(xs.max() ?? 1, 1))
        let step = Self.step(highest, count: 4)
        let most = max((highest / step).rounded(.up) * step, step)
        let scale = Scale(x: first...last, y: 0...most)
        var parts = [
            "<svg viewBox=\"0 0 \(Int(Self.width)) \(Int(Self.height))\" role=\"img\" "
                + "aria-label=\"\(HTML.escaped("\(self.title), \(self.unit)"))\">"
        ]
        for index in 0...Int((most / step).rounded()) {
            let value = Double(index) * step
            let y = Self.coordinate(scale.y(value))
            parts.append(
                "<line class=\"grid\" x1=\"\(Int(Self.left))\" x2=\"\(Int(Self.width - Self.right))\" "
                    + "y1=\"\(y)\" y2=\"\(y)\"/>"
            )
            parts.append(
                "<text class=\"y\" x=\"\(Int(Self.left - 8))\" y=\"\(y)\">\(Decimal.text(value, digits: 3))</text>"
            )
        }
        let timeStep = Self.step(last - first, count: 6)
        for index in 0...Int((last - first) / timeStep) {
            let value = first + Double(index) * timeStep
            let x = Self.coordinate(scale.x(value))
            parts.append(
                "<text class=\"x\" x=\"\(x)\" y=\"\(Int(Self.height - 10))\">"
                    + "\(Decimal.text(value, digits: 1))\(HTML.escaped(self.axis))</text>"
            )
        }
        if let mark, (first...last).contains(mark) {
            let x = Self.coordinate(scale.x(mark))
            parts.append(
                "<line class=\"mark\" x1=\"\(x)\" x2=\"\(x)\" y1=\"\(Int(Self.top))\" "
                    + "y2=\"\(Int(Self.height - Self.bottom))\"/>"
            )
        }
        for (series, stack) in zip(self.series, self.stacks) where !stack.isEmpty {
            parts.append(self.shape(series, stack, scale))
        }
        parts.append(self.hovers(scale))
        parts.append("</svg>")
        return parts.joined()
    }

    private struct Place {
        var x: Double
        var low: Double
        var high: Double
    }

    /// Of each series, from where to where it is drawn.
    private var stacks: [[Place]] {
        var floor: [Double: Double] = [:]
        return self.series.map { series in
            series.points.map { point in
                guard self.style == .stacked else { return Place(x: point.x, low: 0, high: point.y) }
                let low = floor[point.x] ?? 0
                floor[point.x] = low + point.y
                return Place(x: point.x, low: low, high: low + point.y)
            }
        }
    }

    private func shape(_ series: Series, _ stack: [Place], _ scale: Scale) -> String {
        func list(_ places: [Place], _ value: (Place) -> Double) -> String {
            places.map { "\(Self.coordinate(scale.x($0.x))),\(Self.coordinate(scale.y(value($0))))" }.joined(
                separator: " "
            )
        }
        switch self.style {
        case .lines: return "<polyline class=\"line \(series.colour)\" points=\"\(list(stack) { $0.high })\"/>"
        case .stacked:
            let outline = list(stack) { $0.high } + " " + list(stack.reversed()) { $0.low }
            return "<polygon class=\"area \(series.colour)\" points=\"\(outline)\"/>"
        case .dots:
            return stack.map { place in
                "<circle class=\"dot \(series.colour)\" r=\"2.5\" cx=\"\(Self.coordinate(scale.x(place.x)))\" "
                    + "cy=\"\(Self.coordinate(scale.y(place.high)))\"/>"
            }.joined()
        }
    }

    /// Invisible strips that say the values under the pointer.
    private func hovers(_ scale: Scale) -> String {
        guard self.style != .dots, let points = self.series.map(\.points).max(by: { $0.count < $1.count }),
            points.count > 1
        else { return "" }
        let strip = (Self.width - Self.left - Self.right) / Double(points.count - 1)
        return points.map { point in
            let values = self.series.compactMap { series in
                series.points.first { $0.x == point.x }.map { "\(series.name) \(Decimal.text($0.y, digits: 3))" }
            }
            let text = "\(Decimal.text(point.x, digits: 1))\(self.axis): \(values.joined(separator: ", ")) \(self.unit)"
            return
                "<rect class=\"hover\" x=\"\(Self.coordinate(scale.x(point.x) - strip / 2))\" y=\"\(Int(Self.top))\" "
                + "width=\"\(Self.coordinate(strip))\" height=\"\(Int(Self.height - Self.top - Self.bottom))\">"
                + "<title>\(HTML.escaped(text))</title></rect>"
        }.joined()
    }

    private struct Scale {
        var x: ClosedRange<Double>
        var y: ClosedRange<Double>

        func x(_ value: Double) -> Double {
            let share = (value - self.x.lowerBound) / max(self.x.upperBound - self.x.lowerBound, 1e-9)
            return Plot.left + share * (Plot.width - Plot.left - Plot.right)
        }

        func y(_ value: Double) -> Double {
            let share = (value - self.y.lowerBound) / max(self.y.upperBound - self.y.lowerBound, 1e-9)
            return Plot.height - Plot.bottom - share * (Plot.height - Plot.top - Plot.bottom)
        }
    }

    /// 1, 2 or 5 times a power of ten, of which about `count` make the range.
    static func step(_ range: Double, count: Int) -> Double {
        guard range > 0, range.isFinite else { return 1 }
        let rough = range / Double(count)
        var power = 1.0
        while power * 10 <= rough { power *= 10 }
        while power > rough { power /= 10 }
        return [1, 2, 5, 10].map { $0 * power }.first { $0 >= rough } ?? power * 10
    }

    static func thinned(_ points: [(x: Double, y: Double)], _ style: Style) -> [(x: Double, y: Double)] {
        let most = style == .dots ? Self.largestDotCount : Self.largestPointCount
        guard points.count > most else { return points }
        let size = (points.count + most - 1) / most
        return stride(from: 0, to: points.count, by: size).map { start in
            // Heights of another time would not add up.
            guard style == .lines else { return points[start] }
            let part = points[start..<min(start + size, points.count)]
            return (x: part[part.startIndex].x, y: part.map(\.y).max() ?? 0)
        }
    }

    private static func coordinate(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
}
