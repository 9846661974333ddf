public import Basics

/// How much a publisher should send at most, where it has one layer and nobody who watches can take all of it.
///
/// Without it such a viewer sees nothing, or a jerky picture, although the encoder could make one that fits. The best
/// viewer counts, so nobody gets less than its path carries for another's sake; a publisher with layers is never limited.
/// After half a second without a whole picture; then down at once, up by 8 % a second, and lifted when somebody could
/// take all that was published before for two seconds, or nobody watches. At least 150 kbit/s.
@usableFromInline package struct PublisherLimit: BitwiseCopyable, Sendable {
    /// Below this no encoder makes a picture worth watching.
    private static let least = Bitrate.kbps(150)
    /// The publisher's limit is repeated so often, since a packet may be lost.
    private static let interval = Nanoseconds.seconds(1)
    private static let growth: Int64 = 108
    /// In per cent of the limit: less is no change.
    private static let notice: Int64 = 97
    /// In per cent of what was published before the limit: one viewer can take all of it again.
    private static let enough: Int64 = 105
    /// For so long it must be thought to: a probe may say too much, and the end of a limit brings all of it back at once.
    private static let proof = Nanoseconds.seconds(2)
    /// An estimate that dips is no reason.
    private static let patience = Nanoseconds.milliseconds(500)
    /// How often the end of a limit is told.
    private static let liftCount = 3

    /// In force; `nil` = none.
    package private(set) var bitrate: Bitrate?
    /// What was published before there was a limit.
    private var publishedBefore = Bitrate.zero
    private var unservedSince: Instant?
    private var enoughSince: Instant?
    private var toldAt: Instant?
    private var liftsLeft = 0

    /// What one viewer's path must carry for the limit to end; `nil` = there is none.
    package var wanted: Bitrate? {
        guard self.bitrate != nil else { return nil }
        return Bitrate(bitsPerSecond: self.publishedBefore.bitsPerSecond * Self.enough / 100)
    }

    package init() {}

    /// What to tell the publisher.
    @usableFromInline package enum Order: Sendable, BitwiseCopyable, Equatable {
        case limit(Bitrate)
        case lift
    }

    /// Decides; call some times a second.
    /// - Parameters:
    ///   - carried: what the best viewer's path has for this track; `nil` = there is nothing to limit: nobody
    ///     watches, or somebody's path is not known.
    ///   - published: what the track takes now; `nil` = not measured, or nothing comes: no limit begins.
    ///   - isUnserved: nobody who watches is sent all of it; of no matter while there is a limit.
    /// - Returns: what to tell now, if anything.
    package mutating func update(carried: Bitrate?, published: Bitrate?, isUnserved: Bool, at now: Instant) -> Order? {
        guard let carried else { return self.lift(at: now) }
        let wish = max(carried, Self.least)
        guard let current = self.bitrate else {
            guard let published, isUnserved, wish < published else {
                self.unservedSince = nil
                return self.repeatLift(at: now)
            }
            let since = self.unservedSince ?? now
            self.unservedSince = since
            guard now - since >= Self.patience else { return nil }
            self.publishedBefore = published
            return self.tell(wish, at: now)
        }
        // What it sends now says nothing: encoders move in steps, and a still scene takes little.
        if let wanted = self.wanted, wish >= wanted {
            let since = self.enoughSince ?? now
            self.enoughSince = since
            if now - since >= Self.proof { return self.lift(at: now) }
        } else {
            self.enoughSince = nil
        }
        if wish.bitsPerSecond * 100 < current.bitsPerSecond * Self.notice { return self.tell(wish, at: now) }
        guard self.isDue(at: now) else { return nil }
        let grown = Bitrate(bitsPerSecond: current.bitsPerSecond * Self.growth / 100)
        return self.tell(wish > current ? min(wish, grown) : current, at: now)
    }

    private func isDue(at now: Instant) -> Bool { self.toldAt.map { now - $0 >= Self.interval } ?? true }

    private mutating func tell(_ bitrate: Bitrate, at now: Instant) -> Order {
        self.bitrate = bitrate
        self.toldAt = now
        self.liftsLeft = Self.liftCount
        return .limit(bitrate)
    }

    private mutating func lift(at now: Instant) -> Order? {
        self.unservedSince = nil
        self.enoughSince = nil
        if self.bitrate != nil {
            self.bitrate = nil
            self.toldAt = nil
        }
        return self.repeatLift(at: now)
    }

    private mutating func repeatLift(at now: Instant) -> Order? {
        guard self.liftsLeft > 0, self.isDue(at: now) else { return nil }
        self.liftsLeft -= 1
        self.toldAt = now
        return .lift
    }
}
