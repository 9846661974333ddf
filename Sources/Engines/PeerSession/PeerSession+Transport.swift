package import Basics
import DTLS
package import ICE
import SRTP

extension PeerSession {
    // MARK: Input

    mutating func receiveCheck(
        _ datagram: RawSpan,
        from source: TransportAddress,
        to local: TransportAddress?,
        at now: Instant
    ) -> Received {
        if let result = self.ice.lite?.handle(datagram, from: source, at: now) {
            if let response = result.response { self.emit(.transmit(response, to: source, from: local)) }
            if let address = result.invalidated { self.emit(.invalidated(address)) }
            if result.isNewlyValidated { self.emit(.validated(source)) }
            if case .selected(let address) = result.event { self.select(address, at: now) }
        } else {
            self.ice.full?.handle(datagram, from: source, to: local ?? source, at: now, using: &self.random)
            self.drainAgent(at: now)
        }
        return .handled
    }

    mutating func receiveHandshake(_ datagram: RawSpan, at now: Instant) {
        if self.isHandshakeOut {
            guard self.handshakeBacklog.count < Self.largestHandshakeBacklog else { return }
            self.handshakeBacklog.append(datagram.array())
            return
        }
        guard self.startHandshake(at: now) else { return }
        // Afterwards there are only alerts and, once in a while, a repeated flight: not worth a hand-over.
        if self.offloadsHandshakes, !self.isConnected {
            self.handOutHandshake([datagram.array()], at: now)
        } else {
            self.dtls?.handle(datagram, at: now)
            self.drainHandshake(at: now)
        }
    }

    private mutating func handOutHandshake(_ datagrams: [[UInt8]], at now: Instant) {
        guard let session = self.dtls.take() else { return }
        // Its timers stand still while it is out; `finish` sets the deadline again.
        self.dtlsDeadline = nil
        self.isHandshakeOut = true
        self.emit(.handshake(HandshakeJob(session, datagrams: datagrams, at: now)))
    }

    /// Takes a job back that has been run.
    package mutating func finish(_ job: HandshakeJob, at now: Instant) {
        guard self.isHandshakeOut else { return }
        self.isHandshakeOut = false
        guard !self.hasEnded else { return }
        self.dtls = job.takeSession()
        self.dtlsDeadline = job.deadline
        for output in job.outputs {
            self.handle(output, at: now)
            if self.hasEnded { return }
        }
        let backlog = self.handshakeBacklog
        self.handshakeBacklog = []
        guard !backlog.isEmpty else { return }
        if self.isConnected {
            for datagram in backlog { unsafe self.dtls?.handle(datagram.span.bytes, at: now) }
            self.drainHandshake(at: now)
        } else {
            self.handOutHandshake(backlog, at: now)
        }
    }

    /// Makes the DTLS association, once. Returns whether there is one, which may be out as a job.
    private mutating func startHandshake(at now: Instant) -> Bool {
        guard self.dtls == nil, !self.isHandshakeOut else { return true }
        do throws(DTLSSetupError) {
            self.dtls = try DTLSSession(
                role: self.dtlsRole,
                certificate: self.certificate,
                expectedFingerprints: self.fingerprints,
                // There are no data channels yet.
                configuration: DTLSConfiguration(carriesData: false),
                at: now
            )
        } catch {
            self.end(.handshakeFailed)
            return false
        }
        self.handshakeStartedAt = now
        return true
    }

    /// Applies an ICE restart: new credentials on both sides (RFC 8445 §9).
    package mutating func restart(local: ICECredentials, remote: ICECredentials) {
        self.ice.lite?.restart(local: local, remote: remote)
    }

    /// The local username fragments that checks of this peer may carry, the previous generation's too.
    package var usernameFragmentKeys: [UInt64] { self.ice.lite?.usernameFragmentKeys ?? [] }

    /// Sends a close_notify and ends.
    package mutating func close(at now: Instant) {
        guard !self.hasEnded else { return }
        if self.isConnected {
            self.dtls?.shutdown(at: now)
            self.drainHandshake(at: now)
        }
        self.end(nil)
    }

    package mutating func handleTimeout(at now: Instant) {
        guard !self.hasEnded else { return }
        if self.ice.lite?.handleTimeout(at: now) != nil {
            // Not sent to any more. The keys go with it: only a new session revives this peer.
            self.end(.consentExpired)
            return
        }
        if self.ice.full != nil {
            self.ice.full?.handleTimeout(at: now, using: &self.random)
            self.drainAgent(at: now)
        }
        if !self.isConnected, now >= self.startedAt + Self.connectTimeout {
            self.end(self.handshakeStartedAt == nil ? .connectTimeout : .handshakeTimedOut)
            return
        }
        self.dtls?.handleTimeout(at: now)
        self.drainHandshake(at: now)
    }

    // MARK: Output

    package mutating func nextOutput() -> Output {
        if !self.outputs.isEmpty { return self.outputs.removeFirst() }
        return .wait(until: self.hasEnded ? nil : self.nextDeadline)
    }

    private var nextDeadline: Instant? {
        var earliest = self.isConnected ? nil : Optional(self.startedAt + Self.connectTimeout)
        func consider(_ deadline: Instant?) {
            guard let deadline else { return }
            earliest = earliest.map { min($0, deadline) } ?? deadline
        }
        consider(self.ice.lite == nil ? self.agentDeadline : self.ice.lite?.consentDeadline)
        consider(self.dtlsDeadline)
        return earliest
    }

    private mutating func emit(_ output: Output) { self.outputs.append(output) }

    private mutating func end(_ reason: EndReason?) {
        self.hasEnded = true
        if let reason { self.emit(.ended(reason)) }
    }

    private mutating func select(_ address: TransportAddress, at now: Instant) {
        let isFirst = self.selected == nil
        self.selected = address
        self.emit(.selected(address))
        // A DTLS client starts its handshake as soon as there is a path; a server waits for it.
        if isFirst, self.dtlsRole == .client, self.startHandshake(at: now) { self.drainHandshake(at: now) }
    }

    private mutating func drainAgent(at now: Instant) {
        guard self.ice.full != nil else { return }
        var selections: [ICEPath] = []
        var hasFailed = false
        loop: while let output = self.ice.full?.nextOutput() {
            switch output {
            case .transmit(let bytes, let from, let to): self.emit(.transmit(bytes, to: to, from: from))
            case .event(.validated(let path)):
                if !self.answeredAddresses.contains(path.remote) {
                    self.answeredAddresses.append(path.remote)
                    self.emit(.validated(path.remote))
                }
            case .event(.selected(let path)): selections.append(path)
            case .event(.failed), .event(.consentExpired): hasFailed = true
            case .wait(let deadline):
                self.agentDeadline = deadline
                break loop
            }
        }
        for path in selections {
            self.selectedLocal = path.local
            self.select(path.remote, at: now)
        }
        if hasFailed { self.end(.consentExpired) }
    }

    private mutating func drainHandshake(at now: Instant) {
        while let output = self.dtls?.nextOutput() {
            if case .wait(let deadline) = output {
                self.dtlsDeadline = deadline
                return
            }
            self.handle(output, at: now)
            if self.hasEnded { return }
        }
    }

    private mutating func handle(_ output: DTLSOutput, at now: Instant) {
        switch output {
        case .transmit(let bytes):
            if let selected = self.selected { self.emit(.transmit(bytes, to: selected, from: self.selectedLocal)) }
        case .connected(let dtlsKeys):
            guard let contexts = SRTPContexts.make(dtlsKeys, library: self.srtpLibrary) else {
                self.end(.handshakeFailed)
                return
            }
            let profile = contexts.profile
            self.keys = consume contexts
            self.dtlsCipher = dtlsKeys.cipherSuite
            self.isConnected = true
            self.handshakeDuration = self.handshakeStartedAt.map { now - $0 }
            self.emit(.connected(profile))
        case .failed(let failure):
            switch failure {
            case .fingerprintMismatch: self.end(.fingerprintMismatch)
            case .timeout: self.end(.handshakeTimedOut)
            default: self.end(.handshakeFailed)
            }
        case .closed:
            self.end(.closedByPeer)
        case .applicationData, .wait:
            // Data channels come later; until then there is nobody to hand their packets to.
            break
        }
    }
}
