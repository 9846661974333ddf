public import Basics

/// Spreads what leaves to one subscriber: a key frame of 60 packets becomes a run at the pacing rate instead of one
/// burst into the queue of a slow link.
///
/// The model is a debt that each packet adds to and that drains at the pacing rate (libwebrtc `PacingController`). Up to
/// 40 ms of debt a packet leaves at once, so ordinary frames do not wait. Once something has to wait, the debt is first
/// paid back to 5 ms and kept there until nothing waits: those 40 ms ahead of the rate are a queue at the bottleneck, and
/// one that stands for the whole of a key frame looks like congestion.
///
/// The pacer holds no packets: it keeps a `Reference` to where a waiting one lies and hands it back. All sizes are UDP
/// payloads; `overhead` is added inside.
///
/// The state is `package` and all is inlinable so that `admit`, done for every packet and subscriber, is compiled for
/// the shell's own reference; nobody else touches it.
///
/// The shell calls `admit` per packet, then `next` until it says `wait`. Two debts and two rings: no allocation after
/// the first packet that had to wait.
@usableFromInline package struct Pacer<Reference: BitwiseCopyable & Sendable>: ~Copyable, Sendable {
    /// Bytes of IP and UDP headers per packet: 28 (IPv4) or 48 (IPv6).
    @usableFromInline package var overhead = 28
    /// The cluster that the packet belongs to which `admit` has just let pass; 0 = none.
    @usableFromInline package var currentProbe: UInt16 = 0

    @usableFromInline package var pacingRate = Bitrate.kbps(300)
    @usableFromInline package var paddingRate = Bitrate.zero
    /// Bytes that were sent ahead of the rate; negative = that may be sent besides, because `next` was called late.
    @usableFromInline package var mediaDebt = 0.0
    @usableFromInline package var paddingDebt = 0.0
    @usableFromInline package var drainedAt: Instant
    /// Something waits, or the debt since something did has not been paid.
    @usableFromInline package var isMetering = false
    /// The first of a pair has left, and the second may follow at once.
    @usableFromInline package var hasPartnerLeft = false
    @usableFromInline package var spacing = PacketSpacing.single
    @usableFromInline package var retransmissions: PacerQueue<Reference>
    @usableFromInline package var video: PacerQueue<Reference>
    /// The sum of the times at which the waiting packets came; may wrap, differences stay right.
    @usableFromInline package var arrivalSum: Int64 = 0
    @usableFromInline package var probes = ProbeSchedule()
    /// `next` has asked for padding and nothing has been sent since.
    @usableFromInline package var isPaddingOutstanding = false
    @usableFromInline package var paddingProbe: UInt16 = 0
    @usableFromInline package var noPaddingBefore = Instant(nanoseconds: .min)

    /// - Parameter capacity: of each of the two rings, in packets.
    @inlinable package init(capacity: Int, at now: Instant) {
        self.drainedAt = now
        self.retransmissions = PacerQueue(capacity: capacity)
        self.video = PacerQueue(capacity: capacity)
    }

    @inlinable package var queuedBytes: Int { self.retransmissions.byteCount + self.video.byteCount }
    @inlinable package var queuedCount: Int { self.retransmissions.count + self.video.count }

    // MARK: Input

    /// - Parameters:
    ///   - pacing: at least 10 kbit/s is used, so that what waits always leaves.
    ///   - padding: the total, media included, to fill up to; zero = none.
    ///   - spacing: of what waits.
    @inlinable package mutating func setRates(
        pacing: Bitrate,
        padding: Bitrate,
        spacing: PacketSpacing = .single,
        at now: Instant
    ) {
        self.drain(to: now)
        self.spacing = spacing
        if spacing != .pairs { self.hasPartnerLeft = false }
        self.pacingRate = pacing
        self.paddingRate = padding
    }

    /// Asks whether a packet may leave.
    /// - Parameters:
    ///   - byteCount: of the UDP payload.
    ///   - reference: handed back by `next` when the packet has to wait.
    @inlinable package mutating func admit(
        _ kind: PacedKind,
        byteCount: Int,
        reference: Reference,
        at now: Instant
    ) -> PacerVerdict {
        self.currentProbe = 0
        if kind == .audio { return .sendNow }
        self.drain(to: now)
        let wireSize = byteCount + self.overhead
        let isFirst = self.retransmissions.count == 0 && (kind == .retransmission || self.video.count == 0)
        if isFirst, self.mayLeave(at: now) {
            self.currentProbe = self.charge(wireSize, at: now)
            return .sendNow
        }
        let entry = PacerQueue<Reference>.Entry(
            reference: reference,
            byteCount: Int32(clamping: wireSize),
            enqueuedAt: now
        )
        let isKept = kind == .retransmission ? self.retransmissions.append(entry) : self.video.append(entry)
        guard isKept else { return .refused }
        self.arrivalSum &+= now.nanoseconds
        self.isMetering = true
        return .queued
    }

    /// The video that has waited longest, to be sent now, whatever is owed: for another that found the queue full. It has
    /// its number, and so has the other; to drop either would be a loss that the subscriber sees, and takes for the path's.
    ///
    /// - Returns: its reference, and its cluster (0 = none); `nil` when no video waits.
    @inlinable package mutating func makeRoom(at now: Instant) -> (reference: Reference, probe: UInt16)? {
        guard let entry = self.video.removeFirst() else { return nil }
        self.arrivalSum &-= entry.enqueuedAt.nanoseconds
        if let due = self.probes.due(at: now), now >= due {
            return (entry.reference, self.charge(Int(entry.byteCount), at: now))
        }
        // Of no cluster: one that is under way has its own times.
        self.addDebt(Int(entry.byteCount))
        return (entry.reference, 0)
    }

    /// Asks for several packets of video, one after the other, that need not be known by reference: those that may leave
    /// at once were charged, and belong to no cluster. The next one is to ask by itself.
    ///
    /// - Parameter byteCount: of the UDP payload of a packet, 0 to `limit` - 1.
    /// - Returns: how many.
    @inlinable @inline(__always) package mutating func admit(
        upTo limit: Int,
        at now: Instant,
        byteCount: (Int) -> Int
    ) -> Int {
        self.currentProbe = 0
        self.drain(to: now)
        guard self.retransmissions.count == 0, self.video.count == 0, self.probes.currentID == 0 else { return 0 }
        // Nothing waits, so that neither the rate nor what may be owed changes meanwhile.
        let burst = self.burstBytes
        let debtLimit = self.debtLimit
        let paddingLimit = self.paddingDebtLimit
        var count = 0
        while count < limit, self.mediaDebt <= burst {
            self.addDebt(byteCount(count) + self.overhead, limit: debtLimit, paddingLimit: paddingLimit)
            count += 1
        }
        return count
    }

    /// Takes on a cluster: it begins with the next packet, or with padding when none waits.
    @inlinable package mutating func start(_ probe: ProbeCluster, at now: Instant) { self.probes.add(probe, at: now) }

    /// A cluster that was given up since the last call, for whoever waits for what it shows; 0 = none.
    @inlinable package mutating func takeAbortedProbe() -> UInt16 { self.probes.takeAborted() }

    /// Tells of padding that was sent, or corrects: a packet that was charged and then not sent has a negative count.
    /// Audio changes nothing.
    @inlinable package mutating func sent(byteCount: Int, kind: PacedKind, at now: Instant) {
        guard kind != .audio else { return }
        self.drain(to: now)
        self.isPaddingOutstanding = false
        let wireSize = byteCount < 0 ? byteCount - self.overhead : byteCount + self.overhead
        if kind == .padding, self.paddingProbe != 0, self.paddingProbe == self.probes.currentID {
            self.probes.sent(byteCount: max(wireSize, 0), at: now)
        }
        self.addDebt(wireSize)
    }

    // MARK: Output

    /// What to do now. Call again after doing it, until it says `wait`.
    @inlinable package mutating func next(at now: Instant) -> PacerAction<Reference> {
        self.drain(to: now)
        if self.isPaddingOutstanding { self.paddingWasRefused(at: now) }
        let isProbing: Bool
        if let due = self.probes.due(at: now) {
            if now < due { return .wait(until: due) }
            isProbing = true
        } else {
            isProbing = false
        }
        if self.queuedCount > 0 {
            let excess = self.mediaDebt - self.burstBytes
            guard isProbing || excess <= 0 || self.hasPartnerLeft else {
                // Not more than a thousand wake-ups a second, however fast the link is.
                return .wait(until: now + max(.fractionalSeconds(excess / self.rate(at: now)), .milliseconds(1)))
            }
            if self.isMetering, !isProbing, self.spacing == .pairs { self.hasPartnerLeft.toggle() }
            if let entry = self.removeFirst() {
                return .packet(entry.reference, probe: self.charge(Int(entry.byteCount), at: now))
            }
        }
        if isProbing { return self.padding(self.probes.paddingSize) }
        return self.fill(at: now)
    }

    /// Padding at the padding rate, in pieces of 5 ms, when nothing waits and nothing is owed.
    @inlinable package mutating func fill(at now: Instant) -> PacerAction<Reference> {
        let rate = Double(self.paddingRate.bitsPerSecond) / 8
        guard rate > 0 else { return .wait(until: .distantFuture) }
        let wait = max(self.mediaDebt / self.rate(at: now), self.paddingDebt / rate)
        guard wait <= 0, now >= self.noPaddingBefore else {
            return .wait(until: max(now + .fractionalSeconds(wait) + Nanoseconds(1), self.noPaddingBefore))
        }
        return self.padding(Int(min(max(rate * 0.005, 100), 1_200)))
    }

    @inlinable package mutating func padding(_ wireSize: Int) -> PacerAction<Reference> {
        self.isPaddingOutstanding = true
        self.paddingProbe = self.probes.currentID
        return .padding(byteCount: max(wireSize - self.overhead, 1), probe: self.paddingProbe)
    }

    /// The shell has nothing to pad with (no retransmission stream, no packet kept): a cluster cannot go on, and asking
    /// again at once would only spin.
    @inlinable package mutating func paddingWasRefused(at now: Instant) {
        self.isPaddingOutstanding = false
        if self.paddingProbe != 0 {
            if self.paddingProbe == self.probes.currentID { self.probes.abort() }
        } else {
            self.noPaddingBefore = now + .milliseconds(100)
        }
    }

    // MARK: The debt

    /// Seconds that a call may come late without being made up for: those of timers and of loops that are not overloaded.
    @inlinable package static var punctuality: Double { 0.01 }
    /// Seconds that are made up for at most.
    @inlinable package static var mostLate: Double { 0.25 }

    @inlinable package mutating func mayLeave(at now: Instant) -> Bool {
        if self.probes.currentID != 0, let due = self.probes.due(at: now) { return now >= due }
        return self.mediaDebt <= self.burstBytes
    }

    /// Counts a packet that leaves; returns its cluster.
    @inlinable package mutating func charge(_ wireSize: Int, at now: Instant) -> UInt16 {
        let probe = self.probes.currentID
        if probe != 0 { self.probes.sent(byteCount: wireSize, at: now) }
        self.addDebt(wireSize)
        return probe
    }

    @inlinable package mutating func removeFirst() -> PacerQueue<Reference>.Entry? {
        let entry: PacerQueue<Reference>.Entry?
        if self.retransmissions.count > 0 {
            entry = self.retransmissions.removeFirst()
        } else {
            entry = self.video.removeFirst()
        }
        if let entry { self.arrivalSum &-= entry.enqueuedAt.nanoseconds }
        return entry
    }

    /// Debts are capped at half a second: a cluster far above the pacing rate is not paid for by a long silence.
    @inlinable package mutating func addDebt(_ wireSize: Int) {
        self.addDebt(wireSize, limit: self.debtLimit, paddingLimit: self.paddingDebtLimit)
    }

    @inlinable @inline(__always) package mutating func addDebt(_ wireSize: Int, limit: Double, paddingLimit: Double) {
        self.mediaDebt = min(max(self.mediaDebt + Double(wireSize), min(self.mediaDebt, 0)), limit)
        self.paddingDebt = min(max(self.paddingDebt + Double(wireSize), 0), paddingLimit)
    }

    @inlinable package var debtLimit: Double { self.rate(at: self.drainedAt) / 2 }
    @inlinable package var paddingDebtLimit: Double { Double(self.paddingRate.bitsPerSecond) / 16 }

    @inlinable package mutating func drain(to now: Instant) {
        // Many packets leave at the same time.
        guard now > self.drainedAt else { return }
        let elapsed = (now - self.drainedAt).inSeconds
        let rate = self.rate(at: now)
        let unpaid = self.mediaDebt - elapsed * rate
        // What waits was due while a busy shell did something else: it leaves now, instead of one burst for each call,
        // with which a shell that has fallen behind would never catch up.
        let late = self.queuedCount > 0 ? -unpaid / rate : 0
        // Not at the rate of a crowded ring, which would leave whole.
        self.mediaDebt =
            late > Self.punctuality ? -min(late, Self.mostLate) * self.rate(at: now, isRoomy: true) : max(unpaid, 0)
        if self.mediaDebt == 0, self.queuedCount == 0 { self.isMetering = false }
        self.paddingDebt = max(self.paddingDebt - elapsed * Double(self.paddingRate.bitsPerSecond) / 8, 0)
        self.drainedAt = now
    }

    /// Seconds that those that wait may wait on average: what waits lies in its source's cache, which holds 0.6 s of a stream
    /// of up to 3.5 Mbit/s.
    @inlinable package static var longestWait: Double { 0.6 }
    /// What has waited so long leaves in this time, not at once.
    @inlinable package static var shortestRest: Double { 0.02 }
    /// Places of a ring that may be taken: what is beyond leaves as if it had waited long enough. It has its numbers, and to
    /// drop it for want of a place would be a loss that the subscriber sees, and tells of as the path's.
    @inlinable package var mostWaiting: Int { self.video.capacity / 4 * 3 }

    /// Bytes per second: the pacing rate, or more when what waits would wait for over `longestWait` otherwise, or not find
    /// room.
    ///
    /// - Parameter isRoomy: as if there were room enough.
    @inlinable package func rate(at now: Instant, isRoomy: Bool = false) -> Double {
        let rate = self.ownRate
        let count = self.queuedCount
        guard count > 0 else { return rate }
        let total = Nanoseconds(Int64(count) &* now.nanoseconds &- self.arrivalSum)
        let isCrowded = !isRoomy && max(self.video.count, self.retransmissions.count) > self.mostWaiting
        let patience = isCrowded ? 0 : Self.longestWait - total.inSeconds / Double(count)
        let left = max(patience, Self.shortestRest)
        return max(rate, Double(self.queuedBytes) / left)
    }

    /// The pacing rate in bytes per second.
    @inlinable package var ownRate: Double { max(Double(self.pacingRate.bitsPerSecond), 10_000) / 8 }

    /// What may be owed when a packet leaves: 40 ms of the pacing rate, at most 63 kB (more would not fit the socket's
    /// buffer); 5 ms once something waits.
    @inlinable package var burstBytes: Double {
        guard self.spacing != .smooth else { return 0 }
        return self.isMetering ? self.ownRate * 0.005 : min(self.ownRate * 0.04, 63_000)
    }
}
