import Basics

/// How many of its videos a worker makes smaller, and how many it leaves out, while its core cannot send them all.
///
/// Datagrams that nobody has time to read are lost at random: sound and key frames among them, and what a publisher lost is
/// asked for by all who watch it. So the worker chooses itself what it does not send. Sound is never left out.
///
/// Twice a second it looks at the queues that stand in its sockets, and in the rings of other workers: of each the least wait
/// of all reads, as CoDel judges (RFC 8289 §3.2), since a pause of the thread makes a wait that ends. While the longest of
/// them is long and does not shrink, more is left out. How busy the thread is says little: it does more at a time, for less,
/// when more has come meanwhile. So what was left out comes back by trial: little by little, and later after each time that
/// it was too much.
struct LoadShedding: Sendable, BitwiseCopyable {
    static let interval = Nanoseconds.milliseconds(500)
    /// A queue that stands this long is overload; one below the other leaves room for more.
    static let longWait = Nanoseconds.milliseconds(50)
    static let shortWait = Nanoseconds.milliseconds(20)
    /// Fewer reads than this say nothing about a queue, unless it takes this long until there are more: with an audience of
    /// thousands one read is work for half a second.
    private static let leastReads = 4
    private static let patience = 4
    /// The queue of what other workers leave in rings: a worker has twelve sockets at most.
    static let rings = 12
    /// What may be left of a queue an interval later.
    private static let shrinking = 0.85
    /// Of all videos: what is done at each step down, and undone at each step up, which are smaller: how much more the
    /// worker can do is only known when it was too much.
    private static let reduction = (down: 0.25, up: 0.05)
    private static let pause = (down: 0.1, up: 0.02)
    /// After a step down, before the first one up.
    private static let hold = (least: Nanoseconds.seconds(5), most: Nanoseconds.seconds(80))
    /// Without a step down, until the hold is short again.
    private static let memory = Nanoseconds.seconds(120)

    /// Of the videos that have smaller layers, the share that is sent no more than the smallest.
    private(set) var reduced = 0.0
    /// Of all videos, the share that is not sent.
    private(set) var paused = 0.0
    private(set) var nextUpdate = Instant.zero
    /// Of the sockets, and of all rings together.
    private var queues = InlineArray<13, StandingWait>(repeating: StandingWait())
    /// The longest of them was, an interval ago.
    private var isLong = false
    /// What it may be now if what has been done is enough.
    private var allowedWait = Self.longWait
    private var hold = Self.hold.least
    private var holdUntil = Instant.zero
    private var fellAt: Instant?
    private var hasRisen = false

    var isOn: Bool { self.reduced > 0 || self.paused > 0 }
    /// The next update may change something.
    var mayChange: Bool { self.isOn || self.isLong }

    /// Of a read of media: how long its oldest datagram had lain there.
    ///
    /// - Parameter queue: the socket's index, or `rings`.
    mutating func note(wait: Nanoseconds, queue: Int) {
        guard self.queues.indices.contains(queue) else { return }
        self.queues[queue].note(wait)
    }

    /// To be called when `nextUpdate` has come.
    ///
    /// - Parameter canReduce: there are videos with smaller layers.
    mutating func update(canReduce: Bool, at now: Instant) {
        self.nextUpdate = now + Self.interval
        let (wait, isWhole) = self.takeLongestWait()
        guard let wait else { return }
        let wasLong = self.isLong
        self.isLong = wait > Self.longWait
        // What lies there has to be worked off before anything can be said about what comes.
        let shrunk = Nanoseconds(Int64(Double(self.allowedWait.count) * Self.shrinking))
        self.allowedWait = wasLong ? max(Self.longWait, shrunk) : max(Self.longWait, wait)
        if wasLong, wait > self.allowedWait {
            self.fall(canReduce: canReduce, at: now)
            self.allowedWait = wait
        } else if self.isOn, isWhole, wait < Self.shortWait, now >= self.holdUntil {
            self.rise()
        }
    }

    /// The longest of the queues' waits, `nil` when nothing is known of any; and whether nothing is known to be longer.
    private mutating func takeLongestWait() -> (wait: Nanoseconds?, isWhole: Bool) {
        var (longest, isIdle, isWhole): (Nanoseconds?, Bool, Bool) = (nil, true, true)
        for queue in self.queues.indices where self.queues[queue].readCount > 0 {
            isIdle = false
            guard let wait = self.queues[queue].take(reads: Self.leastReads, patience: Self.patience) else {
                isWhole = isWhole && (self.queues[queue].least ?? .zero) < Self.shortWait
                continue
            }
            longest = max(longest ?? wait, wait)
        }
        return (isIdle ? .zero : longest, isWhole)
    }

    private mutating func fall(canReduce: Bool, at now: Instant) {
        if self.fellAt.map({ now - $0 > Self.memory }) ?? true {
            self.hold = Self.hold.least
        } else if self.hasRisen {
            self.hold = min(self.hold + self.hold, Self.hold.most)
        }
        self.hasRisen = false
        self.fellAt = now
        self.holdUntil = now + self.hold
        if canReduce, self.reduced < 1 {
            self.reduced = min(1, self.reduced + Self.reduction.down)
        } else {
            self.paused = min(1, self.paused + Self.pause.down)
        }
    }

    private mutating func rise() {
        self.hasRisen = true
        if self.paused > 0 {
            self.paused = Self.less(self.paused, by: Self.pause.up)
        } else {
            self.reduced = Self.less(self.reduced, by: Self.reduction.up)
        }
    }

    /// Hundredths are not exact: what is left of a step is none.
    private static func less(_ share: Double, by step: Double) -> Double { share > step * 1.5 ? share - step : 0 }
}

/// The least wait of all reads of one queue, until there were enough of them.
private struct StandingWait: BitwiseCopyable {
    private(set) var least: Nanoseconds?
    private(set) var readCount = 0
    private var intervals = 0

    mutating func note(_ wait: Nanoseconds) {
        self.least = min(self.least ?? wait, wait)
        self.readCount += 1
    }

    /// `nil` when there were not enough yet. To be called once in an interval.
    mutating func take(reads: Int, patience: Int) -> Nanoseconds? {
        self.intervals += 1
        guard self.readCount >= reads || self.intervals >= patience else { return nil }
        defer { self = StandingWait() }
        return self.least
    }
}

/// Which videos it takes: those that nobody looks at in particular first, then those of who speaks, then screens and what
/// is pinned. Of one kind always the same ones, so that nothing comes and goes without need.
struct SheddingOrder {
    /// By kind: how many there are.
    private var counts = SIMD4<Double>(repeating: 0)

    mutating func count(weight: Float) { self.counts[Self.kind(weight)] += 1 }

    var total: Double { self.counts.sum() }

    /// - Parameters:
    ///   - share: of all that were counted.
    ///   - place: the video's among those of its kind, from 0 to 1.
    func takes(share: Double, weight: Float, place: Double) -> Bool {
        // It has only just begun, and nothing was counted.
        guard self.total > 0 else { return place < share }
        let kind = Self.kind(weight)
        var left = share * self.total
        for before in 0..<kind { left -= self.counts[before] }
        return place * self.counts[kind] < left
    }

    private static func kind(_ weight: Float) -> Int { weight >= 6 ? 2 : weight >= 2 ? 1 : 0 }
}
