package import Basics
import MediaControl
import PeerSession
import SRTP

extension MediaRouter {
    /// Carries out what a session's transport wants done.
    ///
    /// - Parameter socket: the one that the datagram in hand came in on; `nil` outside of checks.
    mutating func drainPeer(_ index: Int, socket: Int?, at now: Instant) {
        guard let session = unsafe self.sessions[index] else { return }
        while true {
            switch unsafe session.pointee.peer.nextOutput() {
            case .transmit(let bytes, let destination, _):
                // What answers a check may go anywhere; a handshake that the server begins goes where `claim` lets it.
                if let first = bytes.first, (20...63).contains(first),
                    self.addresses.session(at: destination) != index
                {
                    continue
                }
                unsafe session.pointee.packetsSent &+= 1
                unsafe session.pointee.bytesSent &+= UInt64(bytes.count)
                unsafe self.egress.send(bytes, to: destination, socket: socket ?? session.pointee.socket)
            case .validated(let address):
                unsafe self.claim(address, for: session, at: now)
            case .invalidated(let address):
                self.addresses.remove(address, session: index)
                unsafe session.pointee.addresses.removeAll { $0 == address }
            case .selected(let address):
                unsafe self.direct(session, to: address, socket: socket, at: now)
                // A nomination after a restart ends the generation before.
                unsafe self.registerFragments(of: session)
            case .connected(let profile):
                unsafe session.pointee.isConnected = true
                unsafe session.pointee.srtpProfileName = profile.name
                unsafe session.pointee.tagLength = profile.tagLength
                self.counters.handshakesOK &+= 1
                if let duration = unsafe session.pointee.peer.handshakeDuration {
                    self.counters.handshakeDuration.record(duration)
                }
                self.emit(.connected(unsafe session.pointee.id))
                unsafe self.startLegs(of: session, at: now)
            case .handshake(let job):
                self.handshakes.append((unsafe session.pointee.id, job))
            case .ended(let reason):
                unsafe self.count(reason, of: session)
                self.emit(.ended(unsafe session.pointee.id, SessionEndReason(reason)))
                self.endedIndices.append(index)
                return
            case .wait(let deadline):
                // What comes after is consent and the like: seconds apart.
                unsafe session.pointee.peerDeadline =
                    unsafe session.pointee.isConnected
                    ? TimerGrid.first(after: deadline ?? .distantFuture) : deadline ?? .distantFuture
                unsafe self.reschedule(session)
                return
            }
        }
    }

    /// Sends a session's media to an address, unless that is another session's: see `claim`.
    private mutating func direct(
        _ session: SessionPointer,
        to address: TransportAddress,
        socket: Int?,
        at now: Instant
    ) {
        guard unsafe self.addresses.session(at: address) == session.pointee.index else { return }
        if unsafe session.pointee.destination.port == 0 {
            if address.isIPv4 { self.counters.iceConnectedIPv4 &+= 1 } else { self.counters.iceConnectedIPv6 &+= 1 }
        }
        let isOther = unsafe session.pointee.destination != address
        unsafe session.pointee.destination = address
        if isOther { unsafe self.routeChanged(session, at: now) }
        if let socket { unsafe session.pointee.socket = socket }
        unsafe session.pointee.chain = EgressQueue.Chain()
    }

    /// So long after the last authentic datagram of its session, an address is still that session's: more than the time
    /// between two consent checks (RFC 7675 §5.1), which even a peer without media sends.
    private static let holdTime = Nanoseconds.seconds(7)

    /// Enters an address that a check of this session came from.
    ///
    /// A check proves that its sender knows credentials, not that the source address is its own: a participant could
    /// name another's, and so cut off what that one sends and have its own media sent there. An address in use stays
    /// with its session until that one has been silent for a while; a client that restarted and kept its port has to
    /// wait so long.
    mutating func claim(_ address: TransportAddress, for session: SessionPointer, at now: Instant) {
        if let index = self.addresses.session(at: address), let holder = unsafe self.sessions[index],
            unsafe holder != session
        {
            if unsafe holder.pointee.isConnected, unsafe holder.pointee.peer.selected == address,
                let check = unsafe holder.pointee.peer.lastCheck,
                unsafe now - max(check, holder.pointee.lastMedia) < Self.holdTime
            {
                return
            }
            unsafe holder.pointee.addresses.removeAll { $0 == address }
        }
        self.addresses.insert(address, session: unsafe session.pointee.index)
        if unsafe !session.pointee.addresses.contains(address) { unsafe session.pointee.addresses.append(address) }
    }

    /// Asks again for an address that was refused when it was new, now that a check came from it once more.
    mutating func claimAgain(_ address: TransportAddress, for session: SessionPointer, socket: Int, at now: Instant) {
        guard unsafe !session.pointee.addresses.contains(address), unsafe !session.pointee.peer.hasEnded,
            unsafe session.pointee.peer.isValidated(address)
        else { return }
        unsafe self.claim(address, for: session, at: now)
        if unsafe session.pointee.peer.selected == address {
            unsafe self.direct(session, to: address, socket: socket, at: now)
        }
    }

    private mutating func count(_ reason: PeerSession.EndReason, of session: SessionPointer) {
        let address = unsafe session.pointee.peer.selected ?? session.pointee.addresses.first
        switch reason {
        case .consentExpired where unsafe session.pointee.isConnected: self.counters.iceLost.add(address)
        case .consentExpired, .connectTimeout: self.counters.iceFailed.add(address)
        case .handshakeFailed: self.counters.handshakesFailed &+= 1
        case .handshakeTimedOut: self.counters.handshakesTimedOut &+= 1
        case .fingerprintMismatch: self.counters.handshakesWrongFingerprint &+= 1
        case .closedByPeer: break
        }
    }

    mutating func freeEndedSessions() {
        while let index = self.endedIndices.popLast() { self.destroySession(index) }
    }

    /// Frees a session and everything that hangs on it.
    mutating func destroySession(_ index: Int) {
        guard let session = unsafe self.sessions[index] else { return }
        while let track = unsafe session.pointee.tracks.popLast() { unsafe self.destroy(track) }
        while let leg = unsafe session.pointee.removeLastLeg() { unsafe self.destroy(leg) }
        for address in unsafe session.pointee.addresses { self.addresses.remove(address, session: index) }
        for key in unsafe session.pointee.fragmentKeys where self.indexByFragment[key] == index {
            self.indexByFragment[key] = nil
        }
        self.timers.cancel(index)
        self.indexByID[unsafe session.pointee.id] = nil
        unsafe self.sessions[index] = nil
        self.freeIndices.append(index)
        unsafe Self.free(session)
    }

    /// Stops a track for everybody and frees it.
    mutating func destroy(_ track: TrackPointer) {
        while let leg = unsafe track.pointee.legs.last { unsafe self.detach(leg) }
        unsafe self.endMirrors(of: track)
        if let session = unsafe track.pointee.owner {
            for stream in 0..<32 where unsafe session.pointee.routes[stream].track == track {
                unsafe session.pointee.routes[stream] = InboundRoute()
            }
        }
        if unsafe track.pointee.kind == .audio {
            unsafe self.audioTracks.removeAll { unsafe $0 == track }
            self.counters.tracksPublished.audio &-= 1
        } else {
            self.counters.tracksPublished.video &-= 1
        }
        unsafe Self.free(track)
    }

    mutating func destroy(_ leg: LegPointer) {
        unsafe self.detach(leg)
        unsafe Self.free(leg)
    }

    // MARK: Timers

    /// Does what has become due.
    package mutating func handleTimers(at start: Instant) {
        var now = start
        self.reportAudioActivity(at: now)
        self.runMirrors(at: now)
        self.shedLoad(at: now)
        // Bounded, in case a session's deadline were not to move: the loop must go on to the sockets. What becomes due
        // meanwhile has its turn after them.
        for _ in 0..<4_096 {
            guard let index = self.timers.popExpired(at: start), let session = unsafe self.sessions[index] else {
                break
            }
            // What a thousand subscribers' pacers let out takes a while. With the time of its beginning, the last packets
            // would seem to have been that long on their way.
            if let time = self.egress.flushIfLarge(), time > now { now = time }
            if unsafe now >= session.pointee.peerDeadline {
                unsafe session.pointee.peer.handleTimeout(at: now)
                self.drainPeer(index, socket: nil, at: now)
            }
            if unsafe session.pointee.isConnected, unsafe !session.pointee.peer.hasEnded {
                unsafe self.runBandwidth(session, at: now)
                unsafe self.runMediaTimers(session, at: now)
            }
            // A deadline that its handler did not move must not come round in the same call.
            if unsafe !session.pointee.peer.hasEnded {
                unsafe self.timers.schedule(index, at: max(self.earliestDeadline(session), now + .milliseconds(1)))
            }
            self.freeEndedSessions()
        }
    }

    /// Puts a session's earliest deadline into the wheel.
    private func earliestDeadline(_ session: SessionPointer) -> Instant {
        var deadline = unsafe session.pointee.peerDeadline
        guard unsafe session.pointee.isConnected else { return deadline }
        deadline = unsafe min(min(deadline, session.pointee.mediaDeadline), session.pointee.bandwidthDeadline)
        return deadline
    }

    mutating func reschedule(_ session: SessionPointer) {
        guard unsafe !session.pointee.peer.hasEnded else { return }
        unsafe self.timers.schedule(session.pointee.index, at: self.earliestDeadline(session))
    }

    /// Makes sure that a session is looked at by `deadline`: cheap enough for the packet path.
    @inline(__always)
    mutating func wake(_ session: SessionPointer, by deadline: Instant) {
        guard unsafe deadline < session.pointee.mediaDeadline else { return }
        unsafe session.pointee.mediaDeadline = deadline
        unsafe self.reschedule(session)
    }

    /// Makes sure that a track is looked at by `deadline`.
    @inline(__always)
    mutating func wake(_ track: TrackPointer, by deadline: Instant) {
        if let owner = unsafe track.pointee.owner {
            unsafe self.wake(owner, by: deadline)
        } else {
            self.wakeMirrors(by: deadline)
        }
    }
}

extension SessionEndReason {
    init(_ reason: PeerSession.EndReason) {
        self =
            switch reason {
            case .connectTimeout, .handshakeTimedOut: .connectTimeout
            case .consentExpired: .consentExpired
            case .handshakeFailed: .dtlsFailed
            case .fingerprintMismatch: .fingerprintMismatch
            case .closedByPeer: .closedByPeer
            }
    }
}
