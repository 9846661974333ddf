/// A value that changes in steps at given times: a capacity, a delay, a share of lost packets.
package struct Schedule<Value: BitwiseCopyable & Sendable>: Sendable {
    package struct Step: Sendable {
        package let at: Microseconds
        package let value: Value
    }

    /// In order of time; the first holds from the beginning.
    package let steps: [Step]

    /// - Parameter steps: seconds and values, in order of time; the first counts from the beginning whatever its time.
    package init(_ steps: [(seconds: Double, value: Value)]) {
        self.steps = steps.map { Step(at: Microseconds($0.seconds * 1e6), value: $0.value) }
    }

    package static func constant(_ value: Value) -> Self { Self([(0, value)]) }

    package func value(at time: Microseconds) -> Value {
        var index = 0
        while index + 1 < self.steps.count, self.steps[index + 1].at <= time { index += 1 }
        return self.steps[index].value
    }

    /// As `value(at:)` for times that never go back: the cursor remembers the step.
    package func value(at time: Microseconds, cursor: inout Int) -> Value {
        while cursor + 1 < self.steps.count, self.steps[cursor + 1].at <= time { cursor += 1 }
        return self.steps[cursor].value
    }
}
