import Basics

/// How many of its videos a worker makes smaller, and how many it leaves out, while its core cannot send them all.
///
/// Datagrams that nobody has time to read are lost at random: sound and key frames among them, and what a publisher lost is
/// asked for by all who watch it. So the worker chooses itself what it does not send. Sound is never left out.
///
/// Twice a second it looks at the queue that stands in the sockets: the least wait of all reads, as CoDel judges (RFC 8289
/// §3.2), since a pause of the thread makes a wait that ends. While that is long and does not shrink, more is left out. How
/// busy the thread is says little: it does more at a time, for less, when more has come meanwhile. So what was left out comes
/// back by trial: little by little, and later after each time that it was too much.
struct LoadShedding: Sendable, BitwiseCopyable {
    static let interval = Nanoseconds.milliseconds(500)
    /// A queue that stands this long is overload; one below the other leaves room for more.
    static let longWait = Nanoseconds.milliseconds(50)
    static let shortWait = Nanoseconds.milliseconds(20)
    /// Fewer reads than this say nothing about a queue.
    private static let leastReads = 4
    /// What may be left of a queue an interval later.
    private static let shrinking = 0.85
    /// Of all videos: what is done at each step down, and undone at each step up.
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
    private var leastWait: Nanoseconds?
    private var readCount = 0
    /// It has been long for so many intervals.
    private var longCount = 0
    /// What it may be now if what has been done is enough.
    private var allowedWait = Self.longWait
    private var hold = Self.hold.least
    private var holdUntil = Instant.zero
    private var fellAt: Instant?
    private var hasRisen = false

    var isOn: Bool { self.reduced > 0 || self.paused > 0 }
    /// The next update may change something.
    var mayChange: Bool { self.isOn || self.longCount > 0 }

    /// Of a read of media: how long its oldest datagram had lain in the socket.
    mutating func note(wait: Nanoseconds) {
        self.leastWait = min(self.leastWait ?? wait, wait)
        self.readCount += 1
    }

    /// To be called when `nextUpdate` has come.
    ///
    /// - Parameter canReduce: there are videos with smaller layers.
    mutating func update(canReduce: Bool, at now: Instant) {
        let wait = self.readCount >= Self.leastReads ? self.leastWait ?? .zero : .zero
        self.leastWait = nil
        self.readCount = 0
        self.nextUpdate = now + Self.interval
        self.longCount = wait > Self.longWait ? self.longCount + 1 : 0
        // What lies there has to be worked off before anything can be said about what comes.
        let allowed = max(Self.longWait, Nanoseconds(Int64(Double(self.allowedWait.count) * Self.shrinking)))
        self.allowedWait = self.longCount > 0 ? allowed : Self.longWait
        if self.longCount > 1, wait > allowed {
            self.fall(canReduce: canReduce, at: now)
            self.allowedWait = wait
        } else if self.isOn, wait < Self.shortWait, now >= self.holdUntil {
            self.rise()
        }
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
            self.paused = max(0, self.paused - Self.pause.up)
        } else {
            self.reduced = max(0, self.reduced - Self.reduction.up)
        }
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
        let kind = Self.kind(weight)
        var left = share * self.total
        for before in 0..<kind { left -= self.counts[before] }
        return place * self.counts[kind] < left
    }

    private static func kind(_ weight: Float) -> Int { weight >= 6 ? 2 : weight >= 2 ? 1 : 0 }
}
