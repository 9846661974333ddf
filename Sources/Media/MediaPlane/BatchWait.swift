package import Basics

/// Whether a worker's loop waits a moment before it reads again, so that more packets to one destination leave together.
///
/// The kernel's work is per message. A loop that is woken by every packet sends messages of one; one that looks every
/// millisecond finds what has come meanwhile, in the order that it came. It waits only while that pays: the loop must be
/// busy, and packets must come closer together than the wait is long. A packet waits at most from the beginning of the
/// last turn for `interval`; after a pause, the first one never does.
package struct BatchWait: Sendable {
    /// Below this part of the time, the loop has time enough for small messages.
    private static let leastBusy = 0.125
    /// What is smoothed over so long.
    private static let memory = Nanoseconds.milliseconds(10)

    private let interval: Nanoseconds
    private var lastBegan = Instant.zero
    private var lastEnded = Instant.zero
    private var lastMedia = Instant.zero
    private var busy = 0.0
    /// Between two packets, in nanoseconds.
    private var gap = Double(Self.memory.count)

    /// - Parameter interval: the longest wait; zero = none.
    package init(interval: Nanoseconds) { self.interval = interval }

    /// Notes a turn of the loop.
    ///
    /// - Parameters:
    ///   - began: when the wait for something to read was over.
    ///   - mediaCount: datagrams of media that were read.
    package mutating func turn(began: Instant, ended: Instant, mediaCount: Int) {
        guard self.interval > .zero else { return }
        let elapsed = max(1, (ended - self.lastEnded).count)
        let worked = max(0, (ended - began).count)
        let weight = min(1, Double(elapsed) / Double(Self.memory.count))
        self.busy += (min(1, Double(worked) / Double(elapsed)) - self.busy) * weight
        self.lastEnded = ended
        guard mediaCount > 0 else { return }
        let pause = min(max(0, (began - self.lastMedia).count), Self.memory.count)
        self.gap += (Double(pause) / Double(mediaCount) - self.gap) * min(1, Double(mediaCount) / 8)
        self.lastMedia = began
        self.lastBegan = began
    }

    /// When the loop may read again; `nil` = at once.
    package func earliestTurn(at now: Instant) -> Instant? {
        guard self.interval > .zero, self.busy >= Self.leastBusy, self.gap <= Double(self.interval.count) else {
            return nil
        }
        let earliest = self.lastBegan + self.interval
        return earliest > now ? earliest : nil
    }
}
