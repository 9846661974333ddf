/// Some values, in order.
package struct Distribution: Sendable, Equatable {
    private let values: [Double]

    package init(_ values: [Double]) { self.values = values.filter(\.isFinite).sorted() }

    package var count: Int { self.values.count }
    package var largest: Double? { self.values.last }

    /// The smallest value that this share of the values does not exceed (nearest rank); `nil` when there are none.
    /// - Parameter quantile: 0 to 1.
    package func quantile(_ quantile: Double) -> Double? {
        guard !self.values.isEmpty else { return nil }
        let rank = (Double(self.values.count) * min(max(quantile, 0), 1)).rounded(.up)
        return self.values[min(max(Int(rank), 1), self.values.count) - 1]
    }
}
