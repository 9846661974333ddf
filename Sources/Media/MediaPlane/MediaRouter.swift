package import Basics
package import CongestionControl
package import DTLS
import Forwarding
package import MediaControl
import Negotiation
package import PeerSession
package import RTP
package import SRTP
import STUN

/// Everything that a worker does with packets, without its sockets and its thread: datagrams, commands and time come
/// in, datagrams and events go out. The scenario tests run it over a simulated network in virtual time.
///
/// Sessions, tracks and legs live at fixed places in memory and point to each other; only `MediaRouter` creates and
/// frees them, and never while a packet is on its way through them.
@safe
package struct MediaRouter: ~Copyable {
    package struct Configuration: Sendable {
        package var certificate: DTLSCertificate
        package var maximumSessionCount: Int
        /// Per session; 0 = no limit.
        package var packetsPerSecondPerTransport: Int
        /// Where every subscriber's estimate starts, and how far it may go.
        package var estimator = EstimatorConfiguration()
        /// Protects all packets; must be usable.
        package var srtpLibrary = SRTPLibrary.fastest
        /// Hands DTLS handshakes out through `nextHandshake` instead of doing them in `receive`.
        package var offloadsHandshakes: Bool
        /// Packets of subscribers that report marks may leave with ECT(1), and publishers are told of theirs.
        package var usesMarks = false
        /// Wakes the worker when packets of another one's tracks come; `nil` = it looks for them by itself.
        package var wake: WakeEvent?

        package init(
            certificate: DTLSCertificate,
            maximumSessionCount: Int = 16_384,
            packetsPerSecondPerTransport: Int = 0,
            offloadsHandshakes: Bool = false,
            wake: WakeEvent? = nil
        ) {
            self.certificate = certificate
            self.maximumSessionCount = maximumSessionCount
            self.packetsPerSecondPerTransport = packetsPerSecondPerTransport
            self.offloadsHandshakes = offloadsHandshakes
            self.wake = wake
        }
    }

    /// A sleep of the loop costs about as much as so many messages.
    private static let leastLegsToWaitFor = 8
    /// Bytes of a datagram of RTCP: twice a path's MTU. The kernel puts up to 64 KiB together again, which would be thousands of
    /// requests.
    private static let largestRTCP = 3_000

    let configuration: Configuration
    var egress: EgressQueue
    var sessions: [SessionPointer?] = unsafe []
    var freeIndices: [Int] = []
    var indexByID: [SessionID: Int] = [:]
    /// By the local username fragment: finds the session of a check from an address that is not known yet.
    var indexByFragment: [UInt64: Int] = [:]
    var addresses: AddressTable
    var timers: TimerWheel
    var counters = RouterCounters()
    /// For what needs no secrecy: SSRCs, first sequence numbers, jitter.
    var random: RandomSource
    /// Sessions that ended while a packet was in hand; freed at the end of the call.
    var endedIndices: [Int] = []
    private var events: [MediaEvent] = []
    var handshakes: [(session: SessionID, job: HandshakeJob)] = []
    var lastBinding: UInt32 = 0
    /// Where a leg's dependency descriptor is made, and where a kept packet is laid out to be sent anew.
    let descriptorScratch: UnsafeMutableRawBufferPointer
    let packetScratch: UnsafeMutableRawBufferPointer
    let wallClock: NTPAnchor
    private var lastSendTime = (at: Instant.zero, value: AbsoluteSendTime(.zero))
    private var sampleCountdown = 64
    /// Packets of the batch in hand.
    var collected = ForwardingBatch()
    private(set) var collectsPackets = false
    /// Somebody publishes who is to be told with which ECN bits its packets came; never goes back.
    package internal(set) var wantsMarks = false
    /// All published ones, for `reportAudioActivity`.
    var audioTracks: [TrackPointer] = unsafe []
    var hasAudioActivity = false
    var nextAudioActivity = Instant.zero
    var crossings = Crossings()
    /// Of whatever comes, and of media.
    var overload = Overload()
    var mediaOverload = Overload()
    var loadShedding = LoadShedding()
    /// Of all videos, and of those with smaller layers, as counted last.
    var sheddingOrder = (all: SheddingOrder(), layered: SheddingOrder())

    /// - Parameters:
    ///   - egress: where datagrams go.
    ///   - wallClock: what time it is in the world, for sender reports; read once.
    ///   - randomSeed: for SSRCs, sequence numbers and timer jitter; from the system's generator in a server.
    package init(
        configuration: Configuration,
        egress: consuming EgressQueue,
        wallClock: NTPTime,
        randomSeed: UInt64,
        at now: Instant
    ) {
        unsafe self.descriptorScratch = .allocate(byteCount: 256, alignment: 8)
        unsafe self.packetScratch = .allocate(byteCount: EgressQueue.slotByteCount, alignment: 8)
        self.wallClock = NTPAnchor(wallClock, at: now)
        self.configuration = configuration
        self.egress = egress
        var random = RandomSource.seeded(state: randomSeed)
        self.addresses = AddressTable(key: random.next())
        self.random = random
        self.timers = TimerWheel(now: now)
    }

    deinit {
        unsafe self.descriptorScratch.deallocate()
        unsafe self.packetScratch.deallocate()
        self.freeMirrors()
        for session in unsafe Each(self.sessions) {
            guard let session = unsafe session else { continue }
            for leg in unsafe Each(session.pointee.legs) { unsafe Self.free(leg) }
            for track in unsafe Each(session.pointee.tracks) { unsafe Self.free(track) }
            unsafe Self.free(session)
        }
    }

    // MARK: What the worker asks

    /// What has happened since the last call, in order.
    package mutating func takeEvents() -> [MediaEvent] {
        guard !self.events.isEmpty else { return [] }
        defer { self.events = [] }
        return self.events
    }

    mutating func emit(_ event: MediaEvent) { self.events.append(event) }

    /// A handshake to be run elsewhere and given back with `finishHandshake`.
    package mutating func nextHandshake() -> (session: SessionID, job: HandshakeJob)? { self.handshakes.popLast() }

    package mutating func finishHandshake(_ job: HandshakeJob, of id: SessionID, at now: Instant) {
        guard let session = unsafe self.session(id) else { return }
        unsafe session.pointee.peer.finish(job, at: now)
        self.drainPeer(unsafe session.pointee.index, socket: nil, at: now)
        self.freeEndedSessions()
    }

    package mutating func flush() { self.egress.flush() }

    /// From here to `endBatch`, datagrams stay where they are after `receive`, and media is forwarded by `endBatch` at
    /// the latest.
    package mutating func beginBatch() { self.collectsPackets = true }

    package mutating func endBatch(at now: Instant) {
        self.forwardCollected(at: now)
        self.collectsPackets = false
    }

    /// Until when it pays to wait for more before `endBatch`: frames of which only the first packets have come should be
    /// whole by then, and would leave in one message to each subscriber instead of two. `nil` = forward what is there.
    ///
    /// - Parameter latest: frames that take longer are not waited for.
    package func restExpected(at now: Instant, latest: Instant) -> Instant? {
        var legCount = 0
        var end = now
        for number in 0..<self.collected.openRuns {
            let run = self.collected.run(number)
            guard unsafe run.track.pointee.kind == .video,
                let expected = unsafe run.track.pointee.layers[run.layer].spread.expectedEnd, expected > now,
                expected <= latest
            else { continue }
            legCount += unsafe run.track.pointee.legs.count
            end = max(end, expected)
        }
        return legCount >= Self.leastLegsToWaitFor ? end : nil
    }

    package func nextDeadline() -> Instant? {
        let mirrors = self.crossings.deadline
        guard mirrors != .distantFuture else { return self.timers.nextDeadline() }
        return min(mirrors, self.timers.nextDeadline() ?? mirrors)
    }

    package mutating func currentCounters() -> RouterCounters {
        self.counters.droppedOutNoRoom = self.egress.noRoomCount
        self.counters.droppedOutSendError = self.egress.refusedCount
        self.counters.socketErrors = self.egress.errors
        self.counters.sessions = UInt64(self.indexByID.count)
        return self.counters
    }

    /// One batch in 64 is timed from the receive call's return to the send call's return.
    package mutating func noteBatchSent(receivedAt: Instant, sentAt: Instant) {
        self.sampleCountdown -= 1
        guard self.sampleCountdown <= 0 else { return }
        self.sampleCountdown = 64
        self.counters.forwardDuration.record(sentAt - receivedAt)
    }

    // MARK: Datagrams

    /// RTP, and not RTCP (RFC 5761 §4) or anything else: it changes nothing but streams.
    package static func isMedia(_ datagram: RawSpan) -> Bool {
        guard datagram.byteCount > 1, datagram.uint8(at: 0) >> 6 == 2 else { return false }
        return !(192..<224).contains(datagram.uint8(at: 1))
    }

    /// Takes one datagram; media is opened in place and forwarded before this returns, or by `endBatch`.
    ///
    /// - Parameters:
    ///   - arrival: when the kernel took it in, for feedback about the publisher's path: `now` or a little earlier.
    ///     `nil` = `now`.
    ///   - mark: the ECN bits that it came with, for the same.
    package mutating func receive(
        _ datagram: UnsafeMutableRawBufferPointer,
        from source: TransportAddress,
        socket: Int,
        arrival: Instant? = nil,
        mark: ECNMark = .notCapable,
        at now: Instant
    ) {
        let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(datagram))
        guard bytes.byteCount > 0 else { return }
        if bytes.uint8(at: 0) < 4 {
            self.forwardCollected(at: now)
            // The only kind that may come from an unknown address: found by our username fragment, then authenticated.
            guard let key = localUsernameFragmentKey(of: bytes), let index = self.indexByFragment[key],
                let session = unsafe self.sessions[index]
            else {
                self.counters.stunRejected &+= 1
                return
            }
            _ = unsafe session.pointee.peer.receive(datagram, from: source, at: now)
            self.drainPeer(index, socket: socket, at: now)
            unsafe self.claimAgain(source, for: session, socket: socket, at: now)
        } else {
            guard let index = self.addresses.session(at: source), let session = unsafe self.sessions[index] else {
                self.counters.droppedInUnknownSource &+= 1
                return
            }
            guard unsafe session.pointee.rateLimiter.allows(at: now) else {
                self.counters.droppedInRateLimited &+= 1
                return
            }
            if !Self.isMedia(bytes) {
                if bytes.uint8(at: 0) >> 6 == 2 {
                    guard bytes.byteCount <= Self.largestRTCP else {
                        self.counters.droppedInMalformed &+= 1
                        return
                    }
                    if unsafe self.shedsFeedback(of: session, at: now) { return }
                }
                self.forwardCollected(at: now)
            }
            unsafe session.pointee.packetsReceived &+= 1
            unsafe session.pointee.bytesReceived &+= UInt64(bytes.byteCount)
            switch unsafe session.pointee.peer.receive(datagram, from: source, at: now) {
            case .rtp(let length, let stream):
                unsafe session.pointee.lastMedia = now
                unsafe self.receiveRTP(
                    UnsafeMutableRawBufferPointer(rebasing: datagram[0..<length]),
                    stream: stream,
                    session: session,
                    room: datagram.count - length,
                    arrival: arrival ?? now,
                    mark: mark,
                    at: now
                )
            case .rtcp(let length):
                unsafe session.pointee.lastMedia = now
                unsafe self.receiveRTCP(
                    UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(datagram)[0..<length]),
                    session: session,
                    at: now
                )
            case .handled: self.drainPeer(index, socket: nil, at: now)
            case .dropped(let reason): self.count(reason)
            }
        }
        self.freeEndedSessions()
    }

    private mutating func count(_ reason: PeerSession.DropReason) {
        switch reason {
        case .malformed, .badCheck: self.counters.droppedInMalformed &+= 1
        case .unknownSource: self.counters.droppedInUnknownSource &+= 1
        case .beforeKeys, .authentication: self.counters.droppedInAuthentication &+= 1
        case .replayed: self.counters.droppedInReplay &+= 1
        case .tooManySSRCs: self.counters.droppedInUnknownSSRC &+= 1
        }
    }

    /// What stands in headers of packets that leave now: many do at the same time.
    @inline(__always)
    mutating func sendTime(_ now: Instant) -> AbsoluteSendTime {
        if self.lastSendTime.at != now { self.lastSendTime = (now, AbsoluteSendTime(now)) }
        return self.lastSendTime.value
    }

    // MARK: Memory

    func session(_ id: SessionID) -> SessionPointer? {
        guard let index = self.indexByID[id] else { return nil }
        return unsafe self.sessions[index]
    }

    static func free(_ session: SessionPointer) {
        unsafe session.deinitialize(count: 1)
        unsafe session.deallocate()
    }

    static func free(_ track: TrackPointer) {
        unsafe track.deinitialize(count: 1)
        unsafe track.deallocate()
    }

    static func free(_ leg: LegPointer) {
        unsafe leg.deinitialize(count: 1)
        unsafe leg.deallocate()
    }
}
