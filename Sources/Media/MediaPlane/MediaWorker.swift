package import Basics
import CLinux
package import MediaControl
import Negotiation
import PeerSession
import RTP

/// One thread, one epoll loop, the UDP sockets of one port, and the rooms homed on it.
///
/// An actor on its own thread: rooms await it, packets never go through it. The thread owns `router`, nobody else's
/// memory is touched on the packet path.
package actor MediaWorker: MediaWorkerControl {
    /// For the rest of the frames in hand.
    private static let mostWaits = 4
    /// What a turn of the loop may take for jobs: the statistics of all rooms hold up nobody's packets for longer.
    private static let longestJobs = Nanoseconds.microseconds(500)
    /// Or as much as this part of what the last turn took, up to `mostForJobs`: a loop that has no time left over does not
    /// leave those who join behind for ever.
    private static let shareOfJobs: Int64 = 4
    private static let mostForJobs = Nanoseconds.milliseconds(5)
    /// What epoll tells a socket's two descriptors apart by: the first has the socket's number.
    private static let firstRTCPTag = 32
    private static let wakeTag = 64
    /// That are read of a descriptor in a turn of the loop, so that timers and the other sockets get their turn.
    private static let mostBatches = 16
    /// No further batch is read after this long: timers have their turn. With an audience of thousands one is 0.3 s of work.
    private static let longestRead = Nanoseconds.milliseconds(100)

    private let executor: WorkerExecutor
    private let sockets: [UDPSocket]
    private let epoll: CInt
    /// What other workers say to this one; its wake-up is the loop's.
    private let mailbox: WorkerMailbox
    private let mailboxes: [WorkerMailbox]
    private let receiver: ReceiveBatch
    private var router: MediaRouter
    private let events: @Sendable (MediaEvent) -> Void
    private var isStopping = false
    private var statistics = LoopStatistics()
    /// Packets of other workers wait in their rings.
    private var hasMoreCrossings = false
    private var batchWait: BatchWait
    private let sendBatchInterval: Nanoseconds
    /// Datagrams of media in this turn of the loop.
    private var mediaCount = 0
    /// Since the first publisher that wants to be told of them.
    private var receivesMarks = false

    package nonisolated let index: Int
    package nonisolated let endpoint: MediaEndpoint
    package nonisolated let counters: SharedCounters
    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe self.executor.asUnownedSerialExecutor() }

    /// Made by `MediaPlane`; `start` must be called once.
    init(
        index: Int,
        sockets: [UDPSocket],
        mailboxes: [WorkerMailbox],
        endpoint: MediaEndpoint,
        configuration: MediaRouter.Configuration,
        sendBatchInterval: Nanoseconds,
        events: @escaping @Sendable (MediaEvent) -> Void
    ) throws(MediaPlaneError) {
        let epoll = cl_epoll_create()
        guard epoll >= 0 else { throw .systemRefused(call: "epoll_create1", errno: -epoll) }
        let wake = mailboxes[index].wake
        var sources = sockets.enumerated().map { ($0.offset, $0.element.descriptor) }
        for (index, socket) in sockets.enumerated() {
            if let rtcp = socket.rtcpDescriptor { sources.append((Self.firstRTCPTag + index, rtcp)) }
        }
        sources.append((Self.wakeTag, wake.descriptor))
        for (tag, descriptor) in sources {
            let result = cl_epoll_add_readable(epoll, descriptor, UInt64(tag))
            guard result >= 0 else {
                _ = cl_close(epoll)
                throw .systemRefused(call: "epoll_ctl", errno: -result)
            }
        }
        guard let receiver = ReceiveBatch(), let egress = unsafe EgressQueue(descriptors: sockets.map(\.descriptor))
        else {
            _ = cl_close(epoll)
            throw .systemRefused(call: "malloc", errno: 12)
        }
        self.index = index
        self.endpoint = endpoint
        self.events = events
        self.epoll = epoll
        self.mailbox = mailboxes[index]
        self.mailboxes = mailboxes
        self.receiver = receiver
        self.batchWait = BatchWait(interval: sendBatchInterval)
        self.sendBatchInterval = sendBatchInterval
        self.counters = SharedCounters()
        self.executor = WorkerExecutor(wake: wake)
        self.router = MediaRouter(
            configuration: configuration,
            egress: egress,
            wallClock: NTPTime(unixNanoseconds: cl_realtime_nanoseconds()),
            randomSeed: .random(in: 0 ... .max),
            at: Self.now()
        )
        self.sockets = sockets
    }

    deinit { _ = cl_close(self.epoll) }

    private static func now() -> Instant { Instant(nanoseconds: cl_monotonic_nanoseconds()) }

    // MARK: Control

    package func apply(
        _ configuration: SessionConfiguration,
        to session: SessionID
    ) async throws(MediaError) {
        defer { self.afterCommand() }
        try self.router.apply(configuration, to: session, at: Self.now())
        guard self.router.wantsMarks, !self.receivesMarks else { return }
        self.receivesMarks = true
        for socket in self.sockets { socket.receiveMarks() }
    }

    package func close(_ session: SessionID) async {
        self.router.close(session, at: Self.now())
        self.afterCommand()
    }

    package func bind(_ track: PublishedTrack, to section: SectionReference) async throws(MediaError) {
        defer { self.afterCommand() }
        try self.router.bind(track, to: section, at: Self.now())
    }

    /// What another worker needs to bind a track of this one; `nil` when there is no such track.
    func describe(_ track: PublishedTrack) -> TrackDescription? { self.router.describe(track) }

    /// Forwards a track of another worker.
    func bind(_ track: TrackDescription, from worker: Int, to section: SectionReference) async throws(MediaError) {
        defer { self.afterCommand() }
        // A track of that name may have ended before this one began; its mirror must be gone then.
        self.takeMail(at: Self.now())
        try self.router.bind(track, from: worker, to: section, at: Self.now())
    }

    package func unbind(_ section: SectionReference) async {
        self.router.unbind(section, at: Self.now())
        self.afterCommand()
    }

    package func setPaused(_ paused: Bool, because reason: PauseReason, for section: SectionReference) async {
        self.router.setPaused(paused, because: reason, for: section, at: Self.now())
        self.afterCommand()
    }

    package func setPreference(_ preference: SubscriberPreference, for section: SectionReference) async {
        self.router.setPreference(preference, for: section, at: Self.now())
        self.afterCommand()
    }

    package func setPurpose(_ purpose: TrackPurpose, for track: PublishedTrack) async {
        self.router.setPurpose(purpose, for: track, at: Self.now())
        self.afterCommand()
    }

    package func setSpeechRole(_ role: SpeechRole, for track: PublishedTrack) async {
        self.router.setSpeechRole(role, for: track, at: Self.now())
        self.afterCommand()
    }

    package func setMuted(_ muted: Bool, for track: PublishedTrack) async {
        self.router.setMuted(muted, for: track, at: Self.now())
        self.afterCommand()
    }

    package func statistics(of session: SessionID) async -> SessionStatistics? {
        self.router.statistics(of: session)
    }

    package func statistics(of sessions: [SessionID]) async -> [SessionID: SessionStatistics] {
        sessions.reduce(into: [:]) { all, session in all[session] = self.router.statistics(of: session) }
    }

    /// Ends the loop and its thread after the current turn.
    func stop() async { self.isStopping = true }

    private func afterCommand() {
        self.router.flush()
        self.deliverEvents()
    }

    private func deliverEvents() {
        for event in self.router.takeEvents() { self.events(event) }
        for (worker, message) in self.router.takeCrossingMessages() where self.mailboxes.indices.contains(worker) {
            self.mailboxes[worker].post(message, from: self.index)
        }
        while let (session, job) = self.router.nextHandshake() {
            // On the process's pool of threads: a handshake costs as much as 500 packets.
            Task.detached { [weak self] in
                job.run()
                await self?.finishHandshake(job, of: session)
            }
        }
    }

    private func finishHandshake(_ job: HandshakeJob, of session: SessionID) {
        self.router.finishHandshake(job, of: session, at: Self.now())
        self.afterCommand()
    }

    // MARK: The thread

    /// Starts the worker's thread, which keeps the worker alive until `stop`.
    nonisolated func start() throws(MediaPlaneError) {
        let context = unsafe Unmanaged.passRetained(self).toOpaque()
        let result = unsafe cl_thread_start(
            "sluice-media-\(self.index)",
            { context in
                guard let context = unsafe context else { return }
                unsafe Unmanaged<MediaWorker>.fromOpaque(context).takeRetainedValue().run()
            },
            context
        )
        guard result == 0 else {
            unsafe Unmanaged<MediaWorker>.fromOpaque(context).release()
            throw .systemRefused(call: "pthread_create", errno: result)
        }
    }

    private nonisolated func run() {
        self.executor.adoptCurrentThread()
        var jobTime: Nanoseconds? = Self.longestJobs
        while let time = jobTime {
            let hasMoreJobs = self.executor.runPendingJobs(for: time)
            jobTime = self.assumeIsolated { worker in worker.turn(hasMoreJobs: hasMoreJobs) }
        }
        self.executor.end()
    }

    /// One turn of the loop: wait, read what is there, do what is due, send.
    ///
    /// - Parameter hasMoreJobs: it must not wait: nobody wakes it for them.
    /// - Returns: how long jobs may take before the next one; `nil` when there is to be none.
    private func turn(hasMoreJobs: Bool) -> Nanoseconds? {
        guard !self.isStopping else { return nil }
        var tags = InlineArray<32, UInt64>(repeating: 0)
        var now = Self.now()
        let deadline = self.router.nextDeadline() ?? .distantFuture
        if !self.hasMoreCrossings, !hasMoreJobs, let earliest = self.batchWait.earliestTurn(at: now) {
            cl_sleep_until(min(earliest, max(deadline, now)).nanoseconds)
            now = Self.now()
        }
        // Nobody wakes the loop for what it has left in a ring.
        let longest: Int64 = self.hasMoreCrossings || hasMoreJobs ? 0 : 1_000_000_000
        let wait = deadline == .distantFuture ? longest : max(0, (deadline - now).count)
        var span = tags.mutableSpan
        let ready = unsafe span.withUnsafeMutableBufferPointer { buffer in
            unsafe cl_epoll_wait(self.epoll, buffer.baseAddress, CInt(buffer.count), min(wait, longest))
        }
        now = Self.now()
        let began = now
        self.mediaCount = 0
        for position in 0..<Int(max(0, ready)) {
            let tag = Int(truncatingIfNeeded: tags[position])
            if self.sockets.indices.contains(tag) { self.read(socket: tag, until: began + Self.longestRead, at: &now) }
            if tag == Self.wakeTag { self.mailbox.wake.drain() }
        }
        // RTCP gets as much time as the rest took: it is not to hold up media that came meanwhile.
        let latest = now + (now - began)
        for position in 0..<Int(max(0, ready)) {
            let socket = Int(truncatingIfNeeded: tags[position]) - Self.firstRTCPTag
            if self.sockets.indices.contains(socket) { self.readRTCP(socket: socket, until: latest, at: &now) }
        }
        self.takeCrossings(at: &now)
        // What was read may have taken long, and what leaves now bears this time.
        now = Self.now()
        self.router.handleTimers(at: now)
        self.router.flush()
        self.deliverEvents()
        let ended = Self.now()
        self.batchWait.turn(began: began, ended: ended, mediaCount: self.mediaCount)
        self.statistics.publishIfDue(at: now, router: &self.router, to: self.counters)
        let share = Nanoseconds((ended - began).count / Self.shareOfJobs)
        return min(max(Self.longestJobs, share), Self.mostForJobs)
    }

    /// Takes what other workers have for this one.
    private func takeCrossings(at now: inout Instant) {
        self.takeMail(at: now)
        self.hasMoreCrossings = self.router.receiveCrossings(at: now)
        if self.hasMoreCrossings { now = Self.now() }
    }

    private func takeMail(at now: Instant) {
        for (worker, message) in self.mailbox.take() { self.router.receive(message, from: worker, at: now) }
    }

    /// Hands the router the datagrams of a batch that are media, or those that are not. Returns how many are of the
    /// other kind.
    private func handle(_ indices: Range<Int>, socket: Int, isMedia: Bool, at now: Instant) -> Int {
        var others = 0
        for index in indices {
            guard let bytes = unsafe self.receiver.bytes(index) else { continue }
            let span = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(bytes))
            guard MediaRouter.isMedia(span) == isMedia else {
                others += 1
                continue
            }
            unsafe self.router.receive(
                bytes,
                from: self.receiver.source(index),
                socket: socket,
                arrival: self.receiver.arrival(index, now: now),
                mark: self.receivesMarks ? self.receiver.mark(index) : .notCapable,
                at: now
            )
        }
        return others
    }

    /// Reads a socket until it is empty, within `mostBatches`: one batch in any case, and no other after `latest`.
    private func read(socket: Int, until latest: Instant, at now: inout Instant) {
        for _ in 0..<Self.mostBatches {
            let count = self.receiver.read(self.sockets[socket].descriptor)
            guard count > 0 else { return }
            now = Self.now()
            let received = now
            self.noteWait(socket: socket, isRTCP: false, at: now)
            // Media first, so that it is forwarded together; feedback and the like would divide it.
            self.router.beginBatch()
            var others = self.handle(0..<count, socket: socket, isMedia: true, at: now)
            let total = self.readRest(after: count, socket: socket, others: &others, at: &now)
            self.router.endBatch(at: now)
            // It may have taken long.
            now = Self.now()
            self.mediaCount += total - others
            if others > 0 { _ = self.handle(0..<total, socket: socket, isMedia: false, at: now) }
            self.router.flush()
            now = Self.now()
            self.router.noteBatchSent(receivedAt: received, sentAt: now)
            self.statistics.socketDropped(self.receiver.overflow, socket: socket)
            if total < ReceiveBatch.messageCount || now >= latest { return }
        }
    }

    /// Reads the RTCP of a socket, after what else it has: one batch in any case, and no other after `latest`.
    private func readRTCP(socket: Int, until latest: Instant, at now: inout Instant) {
        guard let descriptor = self.sockets[socket].rtcpDescriptor else { return }
        for _ in 0..<Self.mostBatches {
            let count = self.receiver.read(descriptor)
            guard count > 0 else { return }
            now = Self.now()
            self.noteWait(socket: socket, isRTCP: true, at: now)
            // The kernel has put together what one sender sent at once before it divides: the first of them decides.
            let others = self.handle(0..<count, socket: socket, isMedia: true, at: now)
            self.mediaCount += count - others
            _ = self.handle(0..<count, socket: socket, isMedia: false, at: now)
            self.router.flush()
            self.statistics.socketDropped(self.receiver.overflow, socket: self.sockets.count + socket)
            guard count >= ReceiveBatch.messageCount else { return }
            now = Self.now()
            guard now < latest else { return }
        }
    }

    /// Of the batch that was read last.
    private func noteWait(socket: Int, isRTCP: Bool, at now: Instant) {
        let wait = self.receiver.wait(now: now)
        self.statistics.read(wait: wait)
        self.router.noteSocketWait(wait, socket: socket, isRTCP: isRTCP, at: now)
    }

    /// Waits for the rest of frames that have begun to come, where that pays. Returns how many datagrams there are then.
    private func readRest(after count: Int, socket: Int, others: inout Int, at now: inout Instant) -> Int {
        let latest = now + self.sendBatchInterval
        var total = count
        for _ in 0..<Self.mostWaits {
            guard total < ReceiveBatch.messageCount, let end = self.router.restExpected(at: now, latest: latest) else {
                break
            }
            cl_sleep_until(end.nanoseconds)
            let all = self.receiver.readMore(self.sockets[socket].descriptor)
            now = Self.now()
            others += self.handle(total..<all, socket: socket, isMedia: true, at: now)
            total = all
        }
        return total
    }
}
