/// What happened to one flow, in bins of 100 ms, and the delay of every packet. Times are seconds, rates bits per
/// second on the wire.
package final class FlowMetrics {
    package static let binLength: Microseconds = 100_000

    package struct Bin {
        package var sentBytes = 0
        package var sentPadding = 0
        package var receivedMedia = 0
        package var receivedPadding = 0
        package var receivedPackets = 0
        package var lostPackets = 0
        /// At the end of the bin, by `estimate(_:at:)`.
        package var estimate: Int64 = 0
    }

    package private(set) var bins: [Bin] = []
    private var delayTimes: [Microseconds] = []
    private var delays: [Int32] = []
    /// Every change.
    private var estimateTimes: [Microseconds] = []
    private var estimates: [Int64] = []

    package init() {}

    private func withBin(at time: Microseconds, _ body: (inout Bin) -> Void) {
        let index = Int(time / Self.binLength)
        while self.bins.count <= index {
            var bin = Bin()
            bin.estimate = self.estimates.last ?? 0
            self.bins.append(bin)
        }
        body(&self.bins[index])
    }

    package func sent(bytes: Int, isPadding: Bool, at time: Microseconds) {
        self.withBin(at: time) {
            $0.sentBytes += bytes
            if isPadding { $0.sentPadding += bytes }
        }
    }

    package func received(bytes: Int, isPadding: Bool, delay: Microseconds, at time: Microseconds) {
        self.withBin(at: time) {
            $0.receivedPackets += 1
            if isPadding { $0.receivedPadding += bytes } else { $0.receivedMedia += bytes }
        }
        self.delayTimes.append(time)
        self.delays.append(Int32(clamping: delay))
    }

    package func lost(at time: Microseconds) { self.withBin(at: time) { $0.lostPackets += 1 } }

    package func estimate(_ bitrate: Int64, at time: Microseconds) {
        guard self.estimates.last != bitrate else { return }
        self.estimateTimes.append(time)
        self.estimates.append(bitrate)
        self.withBin(at: time) { $0.estimate = bitrate }
    }

    // MARK: Figures

    private func sum(from: Double, to: Double, _ value: (Bin) -> Int) -> Int {
        let first = max(Int(from * 10 + 0.5), 0)
        let last = min(Int(to * 10 + 0.5), self.bins.count)
        guard first < last else { return 0 }
        return self.bins[first..<last].reduce(0) { $0 + value($1) }
    }

    /// Media that arrived, without padding.
    package func goodput(from: Double, to: Double) -> Double {
        Double(self.sum(from: from, to: to, \.receivedMedia)) * 8 / max(to - from, 1e-9)
    }

    package func sendRate(from: Double, to: Double) -> Double {
        Double(self.sum(from: from, to: to, \.sentBytes)) * 8 / max(to - from, 1e-9)
    }

    package func paddingRate(from: Double, to: Double) -> Double {
        Double(self.sum(from: from, to: to, \.sentPadding)) * 8 / max(to - from, 1e-9)
    }

    package func paddingShare(from: Double, to: Double) -> Double {
        let sent = self.sum(from: from, to: to, \.sentBytes)
        return sent == 0 ? 0 : Double(self.sum(from: from, to: to, \.sentPadding)) / Double(sent)
    }

    package func loss(from: Double, to: Double) -> Double {
        let lost = self.sum(from: from, to: to, \.lostPackets)
        let received = self.sum(from: from, to: to, \.receivedPackets)
        return lost + received == 0 ? 0 : Double(lost) / Double(lost + received)
    }

    /// The delay, in milliseconds, that the share `quantile` of the packets that arrived in a time did not exceed.
    package func delay(_ quantile: Double, from: Double, to: Double) -> Double {
        let range = self.delayRange(from: from, to: to)
        guard !range.isEmpty else { return 0 }
        let sorted = self.delays[range].sorted()
        let rank = min(Int(Double(sorted.count) * quantile), sorted.count - 1)
        return Double(sorted[rank]) / 1_000
    }

    package func maximumDelay(from: Double, to: Double) -> Double {
        Double(self.delays[self.delayRange(from: from, to: to)].max() ?? 0) / 1_000
    }

    private func delayRange(from: Double, to: Double) -> Range<Int> {
        let first = Self.index(of: Microseconds(from * 1e6), in: self.delayTimes)
        return first..<max(first, Self.index(of: Microseconds(to * 1e6), in: self.delayTimes))
    }

    /// The first index at or after `time`.
    private static func index(of time: Microseconds, in times: [Microseconds]) -> Int {
        var (low, high) = (0, times.count)
        while low < high {
            let middle = (low + high) / 2
            if times[middle] < time { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Seconds from `start` until the queue is gone: until some packet of 100 ms has at most `limit` milliseconds of
    /// delay, after 100 ms in which none had; 0 when there never was a queue, `nil` when it stayed.
    package func drainTime(from start: Double, to end: Double, limit: Double) -> Double? {
        var isStanding = false
        var bin = Microseconds(-1)
        var lowest = Int32.max
        for index in self.delayRange(from: start, to: end) {
            let time = self.delayTimes[index]
            if time / Self.binLength != bin {
                if lowest != .max, Double(lowest) / 1_000 > limit { isStanding = true }
                bin = time / Self.binLength
                lowest = .max
            }
            lowest = min(lowest, self.delays[index])
            if isStanding, Double(lowest) / 1_000 <= limit { return Double(time) / 1e6 - start }
        }
        return isStanding ? nil : 0
    }

    package func estimate(at seconds: Double) -> Double {
        let index = Self.index(of: Microseconds(seconds * 1e6) + 1, in: self.estimateTimes)
        return index == 0 ? 0 : Double(self.estimates[index - 1])
    }

    /// Seconds from `start` until the estimate is at least 0.9 of `capacity` and then at least 0.8 of it for 2 s; `nil`
    /// when that does not happen before `end`.
    package func timeToReach(
        _ capacity: Double,
        from start: Double,
        to end: Double,
        reach: Double = 0.9,
        keep: Double = 0.8
    ) -> Double? {
        var reached: Double?
        func visit(_ time: Double, _ estimate: Double) -> Double? {
            if let since = reached, time - since >= 2 { return since - start }
            if estimate < keep * capacity { reached = nil }
            if reached == nil, estimate >= reach * capacity { reached = time }
            return nil
        }
        if let result = visit(start, self.estimate(at: start)) { return result }
        let first = Self.index(of: Microseconds(start * 1e6), in: self.estimateTimes)
        for index in first..<max(first, self.estimates.count) {
            let time = Double(self.estimateTimes[index]) / 1e6
            guard time < end else { break }
            if let result = visit(time, Double(self.estimates[index])) { return result }
        }
        guard let since = reached, end - since >= 2 else { return nil }
        return since - start
    }

    /// Seconds from `start` until the estimate is below `bitrate`; `nil` when it never is.
    package func timeBelow(_ bitrate: Double, from start: Double, to end: Double) -> Double? {
        if self.estimate(at: start) < bitrate { return 0 }
        let first = Self.index(of: Microseconds(start * 1e6), in: self.estimateTimes)
        for index in first..<max(first, self.estimates.count) where Double(self.estimates[index]) < bitrate {
            let time = Double(self.estimateTimes[index]) / 1e6
            return time < end ? time - start : nil
        }
        return nil
    }

    /// The lowest and the highest estimate in a time.
    package func estimateRange(from start: Double, to end: Double) -> ClosedRange<Double> {
        var (low, high) = (self.estimate(at: start), self.estimate(at: start))
        let first = Self.index(of: Microseconds(start * 1e6), in: self.estimateTimes)
        for index in first..<max(first, self.estimates.count) {
            guard Double(self.estimateTimes[index]) / 1e6 < end else { break }
            low = min(low, Double(self.estimates[index]))
            high = max(high, Double(self.estimates[index]))
        }
        return low...high
    }

    /// The longest time, in seconds, in which every bin's media stayed below `bitrate`.
    package func longestBelow(_ bitrate: Double, from: Double, to: Double) -> Double {
        var (longest, current) = (0, 0)
        for index in Int(from * 10)..<max(Int(from * 10), Int(to * 10)) {
            let media = index < self.bins.count ? self.bins[index].receivedMedia : 0
            current = Double(media) * 80 < bitrate ? current + 1 : 0
            longest = max(longest, current)
        }
        return Double(longest) / 10
    }
}

/// Jain's index of fairness: 1 = all equal, 1/n = one has everything.
package func jainIndex(_ values: [Double]) -> Double {
    let sum = values.reduce(0, +)
    let squares = values.reduce(0) { $0 + $1 * $1 }
    return squares == 0 ? 1 : sum * sum / (Double(values.count) * squares)
}
