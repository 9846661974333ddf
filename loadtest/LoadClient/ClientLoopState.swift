import Basics
import CLinux
import DTLS
import Forwarding
import Negotiation
import RTP

/// What a loop's thread owns: the peers, their sockets, their timers.
@safe
struct ClientLoopState: ~Copyable {
    private static let wakeTag = UInt64.max
    private static let largestGroup = 63

    private let epoll: CInt
    private let wakeDescriptor: CInt
    private let receiver: OpaquePointer
    private var egress: LoopEgress
    private var peers: [PeerID: HeadlessPeer] = [:]
    private var timers: TimerWheel
    /// By group.
    private var latencies: [HeadlessPeer.LatencySink] = []
    private var opus: [Bitrate: OpusLoop] = [:]
    private let certificate: DTLSCertificate
    private let store = DatagramStore()
    /// Reports of peers that are gone, and their sums by group.
    private var ended: [PeerID: PeerReport] = [:]
    private var endedTotals: [LoadTotals] = []
    private var overflownDatagrams: UInt64 = 0

    init(wakeDescriptor: CInt) throws(LoadClientError) {
        let epoll = cl_epoll_create()
        guard epoll >= 0 else { throw .noSocket(errno: -epoll) }
        let now = Self.now()
        guard let receiver = unsafe cl_receive_batch_make(32, 65_536),
            let egress = LoopEgress(
                clock: NTPAnchor(NTPTime(unixNanoseconds: cl_realtime_nanoseconds()), at: now)
            )
        else { throw .noSocket(errno: 12) }
        // One for all peers of a loop: they are told apart by their ICE credentials.
        guard let certificate = try? DTLSCertificate(unixSeconds: cl_realtime_nanoseconds() / 1_000_000_000) else {
            throw .noCertificate
        }
        _ = cl_epoll_add_readable(epoll, wakeDescriptor, Self.wakeTag)
        self.epoll = epoll
        self.wakeDescriptor = wakeDescriptor
        unsafe self.receiver = receiver
        self.egress = egress
        self.certificate = certificate
        self.timers = TimerWheel(now: now)
    }

    deinit {
        unsafe cl_receive_batch_free(self.receiver)
        _ = cl_close(self.epoll)
    }

    private static func now() -> Instant { Instant(nanoseconds: cl_monotonic_nanoseconds()) }

    // MARK: Commands

    mutating func add(_ id: PeerID, _ plan: PeerPlan, bindingTo address: TransportAddress) throws(LoadClientError)
        -> PeerOffer
    {
        var native = cl_address(high: address.high, low: address.low, scope: address.scope, port: 0)
        let descriptor = unsafe cl_udp_socket(&native, 1 << 20, 1 << 20)
        guard descriptor >= 0 else { throw .noSocket(errno: -descriptor) }
        if !plan.readsMerged { cl_receive_apart(descriptor) }
        let port = UInt16(truncatingIfNeeded: cl_socket_local_port(descriptor))
        let group = min(max(plan.group, 0), Self.largestGroup)
        while self.latencies.count <= group {
            self.latencies.append(HeadlessPeer.LatencySink())
            self.endedTotals.append(LoadTotals())
        }
        let peer = HeadlessPeer(
            id: id,
            descriptor: descriptor,
            address: address.withPort(port),
            certificate: self.certificate,
            latency: self.latencies[group],
            group: group,
            link: plan.link.doesNothing ? nil : PeerLink(plan.link, seed: plan.seed, store: self.store),
            at: Self.now()
        )
        if plan.audio {
            guard let opus = self.opus[plan.audioBitrate] ?? OpusLoop(bitrate: plan.audioBitrate) else {
                _ = cl_close(descriptor)
                throw .noEncoder
            }
            self.opus[plan.audioBitrate] = opus
            let mid = peer.offer.add(.audio, direction: .send, codecs: [.opus], using: &peer.random)
            peer.audio = AudioPublisher(opus, mid: mid, phase: plan.phase)
        }
        peer.offer.offersDependencyDescriptor = plan.describesFrames
        if let video = plan.video {
            let rids = video.layers.compactMap(\.rid)
            let mid = peer.offer.add(.video, direction: .send, codecs: [.vp8], rids: rids, using: &peer.random)
            peer.video = VideoPublisher(
                video,
                mid: mid,
                describesFrames: plan.describesFrames,
                phase: plan.phase
            )
        }
        for _ in 0..<plan.receivesAudio {
            _ = peer.offer.add(.audio, direction: .receive, codecs: [.opus], using: &peer.random)
        }
        for _ in 0..<plan.receivesVideo {
            _ = peer.offer.add(.video, direction: .receive, codecs: [.vp8], using: &peer.random)
        }
        peer.tells = plan.feedback
        peer.initialState = plan.bindsLater ? .unbound : .flowing
        self.peers[id] = peer
        self.timers.reserve(id.value + 1)
        _ = cl_epoll_add_readable(self.epoll, descriptor, UInt64(id.value))
        return PeerOffer(
            id: id,
            sdp: peer.offer.makeOffer(),
            audioMid: peer.audio?.mid,
            videoMid: peer.video?.mid
        )
    }

    mutating func start(_ id: PeerID, answer: String) throws(LoadClientError) {
        guard let peer = self.peers[id] else { throw .noSuchPeer }
        let now = Self.now()
        do { try peer.start(answer: answer, at: now) } catch { throw .badAnswer("\(error)") }
        self.schedule(peer, at: now)
        self.egress.flush()
    }

    mutating func close(_ id: PeerID) {
        guard let peer = self.peers.removeValue(forKey: id) else { return }
        let now = Self.now()
        peer.close(at: now, into: &self.egress)
        self.egress.flush()
        self.ended[id] = peer.currentReport(at: now)
        peer.add(to: &self.endedTotals[peer.group], at: now)
        // What it saw stays, what it was does not.
        self.endedTotals[peer.group].connected = 0
        self.endedTotals[peer.group].pictures = [:]
        self.overflownDatagrams += peer.overflownDatagrams
        self.timers.cancel(id.value)
        // Closing it takes it out of the epoll set.
        _ = cl_close(peer.descriptor)
    }

    func beginToLeave(_ id: PeerID) { self.peers[id]?.beginToLeave(at: Self.now()) }

    mutating func closeAll() {
        for id in Array(self.peers.keys) { self.close(id) }
    }

    func setSilent(_ id: PeerID, _ isSilent: Bool) {
        self.peers[id]?.audio?.setSilent(isSilent, at: Self.now())
    }

    func setState(_ id: PeerID, mid: String, _ state: StreamReport.State) {
        self.peers[id]?.setState(state, of: mid, at: Self.now())
    }

    func noteLostSignalling(of id: PeerID) { self.peers[id]?.report.hasLostSignalling = true }

    func reports() -> [PeerID: PeerReport] {
        let now = Self.now()
        var reports = self.ended
        for (id, peer) in self.peers { reports[id] = peer.currentReport(at: now) }
        return reports
    }

    func sample() -> LoadSample {
        let now = Self.now()
        var sample = LoadSample()
        for (totals, sink) in zip(self.endedTotals, self.latencies) {
            var group = LoadSample.Group()
            group.totals = totals
            group.latency = sink.histogram
            group.lateness = sink.lateness
            sink.histogram = LatencyHistogram()
            sink.lateness = LatencyHistogram()
            sample.groups.append(group)
        }
        sample.overflownDatagrams = self.overflownDatagrams + self.egress.overflownCount
        for peer in self.peers.values {
            peer.add(to: &sample.groups[peer.group].totals, at: now)
            sample.overflownDatagrams += peer.overflownDatagrams
        }
        sample.refusedDatagrams = self.egress.refusedCount
        sample.cpuSeconds = Double(cl_thread_cpu_nanoseconds()) / 1e9
        sample.waitSeconds = SystemFiles.line(of: "/proc/thread-self/schedstat").flatMap(SystemFiles.waitSeconds) ?? 0
        return sample
    }

    // MARK: The loop

    mutating func turn() {
        var tags = InlineArray<16, UInt64>(repeating: 0)
        let wait = self.timers.nextDeadline().map { max(0, ($0 - Self.now()).count) } ?? 100_000_000
        var span = tags.mutableSpan
        let ready = unsafe span.withUnsafeMutableBufferPointer { buffer in
            unsafe cl_epoll_wait(self.epoll, buffer.baseAddress, CInt(buffer.count), min(wait, 100_000_000))
        }
        for position in 0..<Int(max(0, ready)) {
            if tags[position] == Self.wakeTag {
                cl_eventfd_drain(self.wakeDescriptor)
            } else if let peer = self.peers[PeerID(Int(truncatingIfNeeded: tags[position]))] {
                self.read(peer)
            }
        }
        let now = Self.now()
        while let owner = self.timers.popExpired(at: now) {
            guard let peer = self.peers[PeerID(owner)] else { continue }
            self.schedule(peer, at: now)
        }
        self.egress.flush()
    }

    /// Does what is due of a peer, and looks again when it says so, in a second at the latest.
    private mutating func schedule(_ peer: HeadlessPeer, at now: Instant) {
        let deadline = peer.advance(at: now, into: &self.egress)
        self.timers.schedule(peer.id.value, at: min(deadline, now + .seconds(1)))
    }

    private mutating func read(_ peer: HeadlessPeer) {
        let count = unsafe cl_receive(peer.descriptor, self.receiver)
        guard count > 0 else { return }
        let now = Self.now()
        // The kernel counts for each socket, and tells with a drop only.
        let overflow = UInt64(unsafe cl_receive_overflow(self.receiver))
        peer.overflownDatagrams = max(peer.overflownDatagrams, overflow)
        for index in 0..<count {
            let length = unsafe cl_receive_length(self.receiver, index)
            guard length > 0, let bytes = unsafe cl_receive_bytes(self.receiver, index) else { continue }
            var address = cl_address()
            unsafe cl_receive_source(self.receiver, index, &address)
            let source = TransportAddress(
                high: address.high,
                low: address.low,
                port: address.port,
                scope: address.scope
            )
            let datagram = unsafe UnsafeMutableRawBufferPointer(start: bytes, count: Int(length))
            let time = unsafe cl_receive_time(self.receiver, index)
            let arrival = time > 0 ? Instant(nanoseconds: min(time, now.nanoseconds)) : now
            if let link = peer.link {
                unsafe link.admitFromServer(UnsafeRawBufferPointer(datagram), from: source, at: arrival)
                continue
            }
            unsafe peer.receive(
                datagram,
                from: source,
                arrival: HeadlessPeer.Arrival(peer: arrival, machine: arrival),
                at: now,
                into: &self.egress
            )
        }
        self.schedule(peer, at: now)
    }
}
