/// Looks for the largest load that passes: doubles until one fails, then halves the gap.
///
/// It does no more than `largestStepCount` runs, and ends earlier when the answer is known to a twentieth.
package struct LimitSearch: Sendable {
    package struct Step: Sendable, Equatable {
        package var load: Int
        package var passed: Bool
    }

    private let largest: Int
    private let largestStepCount: Int
    private var candidate: Int?
    package private(set) var steps: [Step] = []
    /// The largest that passed, and the smallest that did not.
    package private(set) var holds = 0
    package private(set) var breaks: Int?

    /// - Parameters:
    ///   - start: the first load, 1 or more.
    ///   - largest: no load is larger.
    package init(from start: Int, to largest: Int, steps: Int) {
        self.largest = max(largest, 1)
        self.largestStepCount = max(steps, 1)
        self.candidate = min(max(start, 1), self.largest)
    }

    /// The next load to try; `nil` when the search is over.
    package var next: Int? { self.steps.count < self.largestStepCount ? self.candidate : nil }

    /// Whether even `largest` passed.
    package var reachedEnd: Bool { self.breaks == nil && self.holds >= self.largest }

    /// Takes the outcome of the load that `next` named.
    package mutating func record(passed: Bool) {
        guard let load = self.next else { return }
        self.steps.append(Step(load: load, passed: passed))
        if passed {
            self.holds = max(self.holds, load)
        } else {
            self.breaks = min(self.breaks ?? load, load)
        }
        guard let breaks else {
            self.candidate = self.holds < self.largest ? min(self.holds * 2, self.largest) : nil
            return
        }
        let gap = breaks - self.holds
        self.candidate = gap > max(1, self.holds / 20) ? self.holds + gap / 2 : nil
    }
}
