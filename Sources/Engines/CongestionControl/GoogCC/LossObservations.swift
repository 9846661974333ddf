import Basics

/// What was sent in 250 ms or more, and how much of it was lost.
struct LossObservation: Sendable, BitwiseCopyable {
    var kilobytes = 0.0
    var lostKilobytes = 0.0
    /// bit/s.
    var sendRate = 0.0
}

/// The last 15 observations, newest first, with weights that fall by a tenth from one to the next.
struct LossObservations: Sendable {
    static let window = 15
    private static let minimumDuration: Int64 = 250_000
    private static let medianFactor = 2.0

    private(set) var entries = InlineArray<15, LossObservation>(repeating: LossObservation())
    private(set) var count = 0
    private(set) var total = 0
    private var partial = LossObservation()
    /// In microseconds of our clock: the newest packet of the newest observation, and of the one being made.
    private(set) var lastSend: Int64?
    private var newestSend: Int64?

    /// - Parameters:
    ///   - lostShare: how much of the packet counts as lost: 0...1.
    ///   - wasLost: it had been counted as lost; now it has arrived after all.
    @inline(__always) mutating func add(byteCount: Int, lostShare: Double, wasLost: Bool, send: Int64) {
        if self.lastSend == nil { self.lastSend = send }
        let kilobytes = Double(byteCount) / 1_000
        if wasLost {
            self.partial.lostKilobytes = max(self.partial.lostKilobytes - kilobytes, 0)
            return
        }
        self.newestSend = max(self.newestSend ?? send, send)
        self.partial.kilobytes += kilobytes
        self.partial.lostKilobytes += kilobytes * lostShare
    }

    /// Nothing of it counts as lost any more.
    mutating func forgive() {
        for index in self.entries.indices { self.entries[index].lostKilobytes = 0 }
        self.partial.lostKilobytes = 0
    }

    /// Ends the observation that is being made, if it is long enough.
    mutating func endFeedback() -> Bool {
        guard let last = self.lastSend, let newest = self.newestSend, newest &- last >= Self.minimumDuration else {
            return false
        }
        self.partial.sendRate = self.partial.kilobytes * 8e9 / Double(newest &- last)
        for age in (1..<Self.window).reversed() { self.entries[age] = self.entries[age - 1] }
        self.entries[0] = self.partial
        self.count = min(self.count + 1, Self.window)
        self.total &+= 1
        self.partial = LossObservation()
        self.lastSend = newest
        return true
    }

    var isLossless: Bool {
        let entries = self.entries.span
        for age in 0..<self.count where entries[age].lostKilobytes > 0 { return false }
        return true
    }

    /// Lost bytes of all bytes. The best and the worst observation are left out, except when the worst was made while
    /// far more was sent than usual: then the sending caused it.
    var averageLoss: Double {
        var weight = 1.0
        var all = 0.0
        var lost = 0.0
        var lowest = (ratio: 2.0, all: 0.0, lost: 0.0)
        var highest = (ratio: -1.0, all: 0.0, lost: 0.0, rate: 0.0)
        let entries = self.entries.span
        for age in 0..<self.count {
            let entry = entries[age]
            let size = weight * entry.kilobytes
            let gone = weight * entry.lostKilobytes
            all += size
            lost += gone
            let ratio = entry.kilobytes > 0 ? entry.lostKilobytes / entry.kilobytes : 0
            if ratio > highest.ratio { highest = (ratio, size, gone, entry.sendRate) }
            if ratio < lowest.ratio { lowest = (ratio, size, gone) }
            weight *= 0.9
        }
        guard all > 0 else { return 0 }
        guard self.count > 3, highest.rate <= Self.medianFactor * self.medianRate else { return min(lost / all, 1) }
        let rest = all - lowest.all - highest.all
        guard rest > 0 else { return min(lost / all, 1) }
        return min(max((lost - lowest.lost - highest.lost) / rest, 0), 1)
    }

    private var medianRate: Double {
        var sorted = InlineArray<15, Double>(repeating: 0)
        let entries = self.entries.span
        for age in 0..<self.count {
            let rate = entries[age].sendRate
            var index = age
            while index > 0, sorted[index - 1] > rate {
                sorted[index] = sorted[index - 1]
                index -= 1
            }
            sorted[index] = rate
        }
        return self.count == 0 ? 0 : sorted[self.count / 2]
    }
}
