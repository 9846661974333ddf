package import Basics
import COpenSSL

/// One DTLS 1.2 association over OpenSSL, without a socket or a clock (RFC 6347, RFC 5764).
///
/// Feed it datagrams and the time; take `nextOutput()` until it says `wait`. Retransmission follows the instants that
/// are handed in, not OpenSSL's clock: the session keeps its last flight and sends the same records again. A
/// receiver's replay protection drops those that had arrived, and takes those that had not.
///
/// Holds, before its peer is known, less than 64 KiB, and for no longer than `handshakeTimeout` (ATTACKS A-07). Holds
/// less than 2 KiB from then on, unless it is to carry data.
@safe package struct DTLSSession: ~Copyable {
    package enum Role: Sendable { case client, server }

    private enum Phase { case handshaking, connected, ended }

    package let role: Role
    package private(set) var counters = DTLSCounters()

    /// OpenSSL's, which owns `input` and `output`; `nil` once it was given back.
    private var session: OpaquePointer?
    private let input: OpaquePointer
    private let output: OpaquePointer
    /// In place of `session` from then on.
    private var remainder: DTLSRemainder?
    private let verification: DTLSPeerVerification
    private let configuration: DTLSConfiguration
    private let filter: DTLSRecordFilter
    private var phase = Phase.handshaking
    private var outputs: [DTLSOutput] = []
    private var held = HeldRecords()

    private var lastFlight: [[UInt8]] = []
    private var timer: DTLSResendTimer
    /// What repetitions of the peer may still make us send, in bytes.
    private var promptAllowance = 0
    private var handshakeDeadline: Instant
    private var highestPeerMessage: Int = -1
    /// The peer's last message that `lastFlight` answers; -1 before any.
    private var answeredPeerMessage: Int = -1

    /// How long a peer has to carry on after an alert that nobody authenticated.
    private static let alertGrace = Nanoseconds.seconds(5)
    /// Some repetitions of the largest flight. Credentials do not prove an address, so a participant could have us send
    /// to somebody else's; it should not get much more from us than it sends itself.
    private static let largestPromptAllowance = 16_384
    /// Longer than any handshake: OpenSSL's own timer must not fire for a server.
    private static let neverMicroseconds: UInt32 = 4_000_000_000

    /// Starts at once: a client's first flight is ready in `nextOutput()`.
    ///
    /// - Parameter expectedFingerprints: those of the peer's SDP; with none, every peer is refused.
    package init(
        role: Role,
        certificate: DTLSCertificate,
        expectedFingerprints: [DTLSFingerprint],
        configuration: DTLSConfiguration = DTLSConfiguration(),
        at now: Instant
    ) throws(DTLSSetupError) {
        let verification = DTLSPeerVerification(expected: expectedFingerprints)
        guard let session = unsafe certificate.makeSession(isServer: role == .server) else {
            throw .library(call: "SSL_new")
        }
        guard let input = unsafe BIO_new(BIO_s_mem()), let output = unsafe BIO_new(BIO_s_mem()) else {
            unsafe SSL_free(session)
            throw .library(call: "BIO_new")
        }
        unsafe shim_bio_retry_when_empty(input)
        unsafe shim_bio_retry_when_empty(output)
        unsafe SSL_set_bio(session, input, output)
        unsafe SSL_set_ex_data(session, 0, Unmanaged.passUnretained(verification).toOpaque())
        unsafe shim_ssl_set_link_mtu(session, configuration.maximumDatagramSize)
        guard unsafe SSL_set_tlsext_use_srtp(session, configuration.profileNames) == 0 else {
            unsafe SSL_free(session)
            throw .library(call: "SSL_set_tlsext_use_srtp")
        }
        if role == .server {
            unsafe SSL_set_accept_state(session)
            unsafe DTLS_set_timer_cb(session) { _, _ in DTLSSession.neverMicroseconds }
        } else {
            // A foreign server repeats its last flight only for a client's records that are new, which ours are not.
            // OpenSSL makes new ones when its own timer has run out as well: the client's way out of that deadlock.
            unsafe SSL_set_connect_state(session)
            // That one would begin at a second. It should be no less than a round trip: OpenSSL looks at it before it reads,
            // and repeats itself to a server that has just answered. Twice as long each time, it runs out 7 times before the
            // handshake is given up; OpenSSL takes 12.
            unsafe DTLS_set_timer_cb(session) { _, before in before == 0 ? 300_000 : before &* 2 }
        }
        self.role = role
        unsafe self.session = session
        unsafe self.input = input
        unsafe self.output = output
        self.verification = verification
        self.configuration = configuration
        self.filter = DTLSRecordFilter(isServer: role == .server)
        self.timer = DTLSResendTimer(configuration)
        self.handshakeDeadline = now + configuration.handshakeTimeout
        if role == .client {
            self.advance(at: now)
            self.releaseBuffers()
        }
    }

    deinit { unsafe SSL_free(self.session) }

    /// Gives OpenSSL's memory back and keeps what may still be needed: our last flight, close_notify, and the peer's
    /// key for its alerts.
    private mutating func release() {
        guard
            !self.configuration.carriesData, let session = unsafe self.session,
            let key = unsafe DTLSRecordKey(ofPeer: session, isServer: self.role == .server)
        else { return }
        self.reserveBuffers()
        ERR_clear_error()
        unsafe SSL_shutdown(session)
        self.remainder = DTLSRemainder(closeNotify: self.takeWritten(), peerKey: key)
        unsafe SSL_free(session)
        unsafe self.session = nil
    }

    // MARK: - Inputs

    /// Takes one datagram from the address that ICE has authenticated for this session.
    package mutating func handle(_ datagram: RawSpan, at now: Instant) {
        guard self.phase != .ended else { return }
        self.promptAllowance = min(self.promptAllowance + 3 * datagram.byteCount, Self.largestPromptAllowance)
        var isPeerRepeating = false
        for record in self.filter.records(in: datagram, counters: &self.counters) {
            let bytes = datagram.array(record.range)
            switch (self.phase, record.epoch) {
            case (.ended, _):
                return
            case (.handshaking, 0):
                isPeerRepeating = self.handlePlain(record, bytes, at: now) || isPeerRepeating
            case (.handshaking, _):
                self.held.hold(protected: bytes)
            case (.connected, 0):
                // OpenSSL has no more use for these; from a client they mean that our last flight was lost.
                if record.content == .alert { self.counters.ignoredAlerts += 1 }
                isPeerRepeating = isPeerRepeating || record.content == .handshake
            case (.connected, _):
                let count = self.outputs.count
                self.handleProtected(bytes, at: now)
                isPeerRepeating = isPeerRepeating || record.content == .handshake && self.outputs.count == count
            }
            self.feedHeld(at: now)
        }
        if isPeerRepeating { self.resendPromptly(at: now) }
        self.releaseBuffers()
    }

    /// Call when the instant of `wait(until:)` has come. Too early does no harm.
    package mutating func handleTimeout(at now: Instant) {
        guard self.phase != .ended else { return }
        if self.phase == .handshaking, now >= self.handshakeDeadline {
            self.end(.failed(.timeout))
            return
        }
        guard let deadline = self.timer.deadline, now >= deadline, !self.lastFlight.isEmpty else { return }
        self.timer.timedOut()
        ERR_clear_error()
        guard self.role == .client, self.phase == .handshaking else {
            self.resend(at: now)
            return
        }
        // There is nothing to read, but reading makes the buffers to write with, and looks at OpenSSL's timer.
        _ = unsafe SSL_do_handshake(self.session)
        if unsafe shim_bio_pending(self.output) > 0 {
            self.collectOutput(at: now, isRepetition: true)
            self.counters.retransmissions += 1
        } else {
            self.resend(at: now)
        }
        self.releaseBuffers()
    }

    /// Whether there is something to do at a time of its own, as `nextOutput()` says when it comes to `wait`.
    package var deadline: Instant? {
        switch self.phase {
        case .handshaking: min(self.handshakeDeadline, self.timer.deadline ?? .distantFuture)
        case .connected: self.timer.deadline
        case .ended: nil
        }
    }

    /// The peer has sent something with the keys of this handshake, so it has our last flight.
    package mutating func confirm() { self.timer.stop() }

    /// The next thing to do; `wait` when there is none.
    package mutating func nextOutput() -> DTLSOutput {
        guard self.outputs.isEmpty else { return self.outputs.removeFirst() }
        return .wait(until: self.deadline)
    }

    /// Sends one record of application data, such as an SCTP packet.
    ///
    /// - Parameter bytes: 1 to 1,100.
    /// - Returns: false when not connected, when the length is outside that range, and without
    ///   `DTLSConfiguration.carriesData`.
    package mutating func send(_ bytes: [UInt8], at now: Instant) -> Bool {
        guard let session = unsafe self.session, self.phase == .connected, (1...1_100).contains(bytes.count) else {
            return false
        }
        self.reserveBuffers()
        defer { self.releaseBuffers() }
        ERR_clear_error()
        guard unsafe SSL_write(session, bytes, CInt(bytes.count)) == CInt(bytes.count) else { return false }
        self.collectOutput(at: now)
        return true
    }

    /// Says close_notify and ends the session: only the outputs that are left may still be taken.
    package mutating func shutdown(at now: Instant) {
        guard self.phase != .ended else { return }
        if let remainder = self.remainder {
            self.outputs.append(.transmit(remainder.closeNotify))
        } else if self.phase == .connected {
            self.reserveBuffers()
            ERR_clear_error()
            unsafe SSL_shutdown(self.session)
            self.collectOutput(at: now)
        }
        self.end(nil)
    }

    // MARK: - Records

    /// - Returns: whether the peer repeats what we have answered.
    private mutating func handlePlain(_ record: DTLSRecord, _ bytes: [UInt8], at now: Instant) -> Bool {
        switch record.content {
        case .alert:
            // Anybody could have made it, so it does not end the handshake, but it may well be true.
            self.counters.ignoredAlerts += 1
            if record.alertLevel == 2 { self.handshakeDeadline = min(self.handshakeDeadline, now + Self.alertGrace) }
        case .changeCipherSpec:
            self.held.hold(changeCipherSpec: bytes)
        case .handshake:
            self.highestPeerMessage = max(self.highestPeerMessage, Int(record.messageSequence))
            let isRepeated = Int(record.messageSequence) <= self.answeredPeerMessage
            if isRepeated { self.timer.peerRepeated(at: now) } else { self.timer.peerSent(at: now) }
            self.feed(bytes, at: now)
            return isRepeated
        case .applicationData:
            break
        }
        return false
    }

    /// A record of the epoch that the keys are for, on a finished association.
    private mutating func handleProtected(_ record: [UInt8], at now: Instant) {
        guard unsafe self.session == nil else {
            self.feed(record, at: now)
            return
        }
        switch self.remainder?.alert(in: record) {
        case .closeNotify?:
            self.shutdown(at: now)
            self.outputs.append(.closed)
        case .fatal?:
            self.end(.failed(.association(reason: "fatal alert")))
        case nil:
            if record.first == 21 { self.counters.ignoredAlerts += 1 }
        }
    }

    /// Hands on what came too early. OpenSSL 3.0 would throw an early ChangeCipherSpec away, and keep every record of
    /// the next epoch in a buffer of 16 KB.
    private mutating func feedHeld(at now: Instant) {
        if self.phase == .handshaking, let spec = self.held.changeCipherSpec {
            let state = unsafe SSL_get_state(self.session)
            // One that comes again, after its Finished was lost, or a stranger's must not stand in the way of Finished.
            let isRepeated = state == (self.role == .server ? TLS_ST_SR_CHANGE : TLS_ST_CR_CHANGE)
            guard isRepeated || state == (self.role == .server ? TLS_ST_SR_CERT_VRFY : TLS_ST_CW_FINISHED) else {
                return
            }
            self.held.changeCipherSpec = nil
            if !isRepeated { self.feed(spec, at: now) }
        }
        if self.phase == .handshaking {
            let state = unsafe SSL_get_state(self.session)
            guard state == (self.role == .server ? TLS_ST_SR_CHANGE : TLS_ST_CR_CHANGE) else { return }
        }
        guard self.phase != .ended, !self.held.protected.isEmpty else { return }
        for record in self.held.takeProtected() where self.phase != .ended {
            if self.phase == .connected { self.handleProtected(record, at: now) } else { self.feed(record, at: now) }
        }
    }

    private mutating func feed(_ record: [UInt8], at now: Instant) {
        unsafe BIO_write(self.input, record, CInt(record.count))
        self.advance(at: now)
        // What OpenSSL left of one record must not become the start of the next.
        if unsafe self.session != nil { _ = unsafe shim_bio_reset(self.input) }
    }

    // MARK: - OpenSSL

    private mutating func advance(at now: Instant) {
        ERR_clear_error()
        if self.phase == .handshaking {
            let status = unsafe SSL_do_handshake(self.session)
            self.collectOutput(at: now)
            if status == 1 {
                self.finishHandshake(at: now)
            } else if unsafe SSL_get_error(self.session, status) != SSL_ERROR_WANT_READ {
                self.end(.failed(self.handshakeFailure()))
            }
        }
        if self.phase == .connected, unsafe self.session != nil { self.readApplicationData(at: now) }
    }

    private mutating func finishHandshake(at now: Instant) {
        guard
            let session = unsafe self.session,
            let peer = unsafe self.verification.verifiedPeer(of: session)
        else {
            self.outputs.removeAll()
            self.end(.failed(.fingerprintMismatch))
            return
        }
        guard let keys = peer.exportKeys(isServer: self.role == .server) else {
            unsafe SSL_shutdown(self.session)
            self.collectOutput(at: now)
            self.end(.failed(.noSRTPProfile))
            return
        }
        self.phase = .connected
        self.answeredPeerMessage = .max
        // The server speaks last, so only it may have to repeat itself.
        if self.role == .client {
            self.lastFlight = []
            self.timer.stop()
        }
        self.outputs.append(.connected(keys))
        self.release()
    }

    private mutating func readApplicationData(at now: Instant) {
        var buffer = [UInt8](repeating: 0, count: 2_048)
        while true {
            let status = unsafe SSL_read(self.session, &buffer, CInt(buffer.count))
            if status > 0 {
                self.confirm()
                self.outputs.append(.applicationData(Array(buffer.prefix(Int(status)))))
                continue
            }
            self.collectOutput(at: now)
            switch unsafe SSL_get_error(self.session, status) {
            case SSL_ERROR_WANT_READ:
                break
            case SSL_ERROR_ZERO_RETURN:
                unsafe SSL_shutdown(self.session)
                self.collectOutput(at: now)
                self.end(.closed)
            default:
                self.end(.failed(.association(reason: Self.lastReason())))
            }
            return
        }
    }

    /// Gives 18 KB back while the session waits. OpenSSL makes the buffers anew when it reads, but not when it writes:
    /// it would write to address zero.
    private func releaseBuffers() {
        guard let session = unsafe self.session else { return }
        unsafe SSL_free_buffers(session)
    }

    /// Before anything is written on a connected session.
    private func reserveBuffers() {
        var byte: UInt8 = 0
        _ = unsafe SSL_peek(self.session, &byte, 1)
    }

    private func handshakeFailure() -> DTLSFailure {
        if self.verification.hasMismatched { return .fingerprintMismatch }
        let reason = shim_error_reason(ERR_peek_last_error())
        return reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE
            ? .noCertificate : .handshake(reason: Self.lastReason())
    }

    private static func lastReason() -> String {
        guard let text = unsafe ERR_reason_error_string(ERR_peek_last_error()) else { return "unknown" }
        return unsafe String(cString: text)
    }

    private mutating func end(_ last: DTLSOutput?) {
        self.phase = .ended
        self.remainder = nil
        self.timer.stop()
        self.lastFlight = []
        self.held = HeldRecords()
        if let last { self.outputs.append(last) }
    }

    // MARK: - Flights

    /// What OpenSSL has written since the last time; it is there still.
    private func takeWritten() -> [UInt8] {
        let count = unsafe shim_bio_pending(self.output)
        guard count > 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: count)
        return unsafe BIO_read(self.output, &bytes, CInt(count)) == CInt(count) ? bytes : []
    }

    private mutating func collectOutput(at now: Instant, isRepetition: Bool = false) {
        let bytes = self.takeWritten()
        guard !bytes.isEmpty else { return }
        let flight = packDatagrams(bytes, limit: self.configuration.maximumDatagramSize)
        for datagram in flight.datagrams { self.outputs.append(.transmit(datagram)) }
        guard flight.isHandshake else { return }
        self.lastFlight = flight.datagrams
        self.answeredPeerMessage = max(self.answeredPeerMessage, self.highestPeerMessage)
        if isRepetition {
            self.timer.resent(at: now)
        } else {
            let isFinished = unsafe SSL_is_init_finished(self.session) == 1
            self.timer.flightSent(at: now, isFinal: self.role == .server && isFinished)
        }
    }

    private mutating func resend(at now: Instant) {
        for datagram in self.lastFlight { self.outputs.append(.transmit(datagram)) }
        self.timer.resent(at: now)
        self.counters.retransmissions += 1
    }

    /// OpenSSL 3.0 ignores a repeated ClientHello and waits for its timer; the peer repeats itself because it misses
    /// our answer, so it gets it at once.
    private mutating func resendPromptly(at now: Instant) {
        guard
            self.phase != .ended, !self.lastFlight.isEmpty, self.timer.mayAnswerRepetition(at: now)
        else { return }
        let size = self.lastFlight.reduce(0) { $0 + $1.count }
        guard size <= self.promptAllowance else { return }
        self.promptAllowance -= size
        self.resend(at: now)
    }
}
