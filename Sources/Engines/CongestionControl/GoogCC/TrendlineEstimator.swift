/// Whether the one-way delay is growing: the slope of the smoothed delay over the last 20 groups against a threshold
/// that adapts itself to the path's own noise (libwebrtc, trendline_estimator).
///
/// The adaptive threshold is what keeps GCC from starving next to flows that fill queues.
struct TrendlineEstimator: Sendable {
    private static let window = 20
    private static let smoothing = 0.9
    private static let gain = 4.0
    private static let maximumDeltas = 60
    private static let overuseTime = 10.0
    private static let thresholdRange = 6.0...600.0
    private static let maximumAdaptOffset = 15.0
    private static let gainUp = 0.0087
    private static let gainDown = 0.039

    /// Of each group its arrival and its smoothed delay, side by side: what is done to one is done to the other.
    private var points = InlineArray<20, SIMD2<Double>>(repeating: .zero)
    private var count = 0
    private var index = 0
    private var deltaCount = 0
    private var firstArrival: Double?
    private var accumulated = 0.0
    private var smoothed = 0.0
    private var slope = 0.0
    private(set) var threshold = 12.5
    private var thresholdUpdatedAt: Double?
    private var timeOver: Double?
    private var overCount = 0
    private(set) var usage = NetworkUsage.normal

    mutating func reset() { self = TrendlineEstimator() }

    /// - Parameter arrivalMilliseconds: of the packet that ended the group, on any clock.
    mutating func add(_ delta: ArrivalGroupDelta, arrivalMilliseconds: Double) {
        self.deltaCount = min(self.deltaCount + 1, 1_000)
        let first = self.firstArrival ?? arrivalMilliseconds
        self.firstArrival = first
        self.accumulated += delta.arrivalMilliseconds - delta.sendMilliseconds
        self.smoothed = Self.smoothing * self.smoothed + (1 - Self.smoothing) * self.accumulated
        self.points[self.index] = SIMD2(arrivalMilliseconds - first, self.smoothed)
        self.index = self.index + 1 == Self.window ? 0 : self.index + 1
        self.count = min(self.count + 1, Self.window)
        let fitted = self.count == Self.window ? self.fittedSlope() ?? self.slope : self.slope
        self.detect(slope: fitted, sendDelta: delta.sendMilliseconds, at: arrivalMilliseconds)
    }

    /// Least squares; `nil` when all groups arrived at once.
    @inline(__always) private func fittedSlope() -> Double? {
        let points = self.points.span
        var sum = SIMD2<Double>.zero
        for index in 0..<Self.window { sum += points[index] }
        let mean = sum / Double(Self.window)
        // Of x * x, and of x * y.
        var products = SIMD2<Double>.zero
        for index in 0..<Self.window {
            let distance = points[index] - mean
            products += distance * distance.x
        }
        return products.x == 0 ? nil : products.y / products.x
    }

    private mutating func detect(slope: Double, sendDelta: Double, at now: Double) {
        defer { self.slope = slope }
        guard self.deltaCount >= 2 else { return self.usage = .normal }
        let modified = Double(min(self.deltaCount, Self.maximumDeltas)) * slope * Self.gain
        if modified > self.threshold {
            self.timeOver = self.timeOver.map { $0 + sendDelta } ?? sendDelta / 2
            self.overCount += 1
            if let time = self.timeOver, time > Self.overuseTime, self.overCount > 1, slope >= self.slope {
                self.timeOver = 0
                self.overCount = 0
                self.usage = .overusing
            }
        } else {
            self.timeOver = nil
            self.overCount = 0
            self.usage = modified < -self.threshold ? .underusing : .normal
        }
        self.adapt(to: abs(modified), at: now)
    }

    private mutating func adapt(to modified: Double, at now: Double) {
        let elapsed = min(max(now - (self.thresholdUpdatedAt ?? now), 0), 100)
        self.thresholdUpdatedAt = now
        // One wild value, a route change say, is not the noise of the path.
        guard modified <= self.threshold + Self.maximumAdaptOffset else { return }
        let gain = modified < self.threshold ? Self.gainDown : Self.gainUp
        self.threshold += gain * (modified - self.threshold) * elapsed
        self.threshold = min(max(self.threshold, Self.thresholdRange.lowerBound), Self.thresholdRange.upperBound)
    }
}
