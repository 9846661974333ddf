package import Basics
import STUN

/// One of our sockets and an address of the peer.
package struct ICEPath: Hashable, Sendable {
    package let local: TransportAddress
    package let remote: TransportAddress

    package init(local: TransportAddress, remote: TransportAddress) {
        self.local = local
        self.remote = remote
    }
}

/// A full, controlling ICE agent over host candidates, for clients of an ICE-lite server (RFC 8445).
///
/// After every call of `start`, `restart`, `add`, `handle` or `handleTimeout`, call `nextOutput` until it says `wait`.
package struct ICEAgent: Sendable {
    package struct Configuration: Sendable {
        /// Ta, the time between two new checks (RFC 8445 §14.2). At least 5 ms there; ATTACKS A-40 asks for 50.
        package var pacing = Nanoseconds.milliseconds(50)
        /// The first retransmission. RFC 8445 §14.3 asks for 500 ms; browsers are quicker, and so are we: a client
        /// sends to a server that it was pointed at, five checks at most in flight.
        package var initialTimeout = Nanoseconds.milliseconds(100)
        /// Rc of RFC 8489 §6.2.1.
        package var largestTransmissionCount = 7
        /// How long checks go on before the agent gives up.
        package var checkLifetime = Nanoseconds.seconds(30)
        /// How long a valid pair waits for a better one before it is nominated.
        package var nominationPatience = Nanoseconds.milliseconds(300)
        /// Every check carries USE-CANDIDATE (RFC 5245 §8.1.1.2).
        package var nominatesAggressively = false
        /// Mean time between consent checks; each is a random 0.8 to 1.2 of it (RFC 7675 §5.1).
        package var consentInterval = Nanoseconds.seconds(5)
        package var consentLifetime = Nanoseconds.seconds(30)

        package init() {}
    }

    package enum Event: Sendable, Equatable {
        /// A check was answered: DTLS may start on this path.
        case validated(ICEPath)
        /// Media goes here from now on.
        case selected(ICEPath)
        /// Nothing was found before `checkLifetime` was over.
        case failed
        /// Stop sending on this path at once (RFC 7675 §5.1). Only `restart` helps.
        case consentExpired(ICEPath)
    }

    package enum Output: Sendable, Equatable {
        case transmit([UInt8], from: TransportAddress, to: TransportAddress)
        case event(Event)
        /// Nothing to do before this instant; `nil`: before the next input.
        case wait(until: Instant?)
    }

    /// Limits on what the peer's description may make us do (ATTACKS A-40).
    package static let largestRemoteCandidateCount = 20
    package static let largestLocalCount = 8

    private let configuration: Configuration
    private let tieBreaker: UInt64
    private var locals: [TransportAddress]
    private var generation: ICEGeneration
    /// The one before a restart: it keeps the selected path alive until the new one has nominated.
    private var previous: ICEGeneration?
    private var remoteCandidates: [ICECandidate] = []
    private var checklist: ICEChecklist?
    private var consent: ICEConsent?
    private var outputs: [Output] = []
    package private(set) var rejections = ICERejectionCounts()

    /// - Parameters:
    ///   - locals: the addresses of the caller's sockets, at most `largestLocalCount`; the first is preferred.
    package init(
        local: ICECredentials,
        remote: ICECredentials,
        locals: [TransportAddress],
        configuration: Configuration = Configuration(),
        using generator: inout some RandomNumberGenerator
    ) {
        self.configuration = configuration
        self.tieBreaker = generator.next()
        self.locals = Array(locals.prefix(Self.largestLocalCount))
        self.generation = ICEGeneration(local: local, remote: remote)
    }

    package var selected: ICEPath? { self.consent?.path }

    /// When sending must stop without a further answer.
    package var consentDeadline: Instant? { self.consent?.expiresAt }

    /// Adds a remote candidate, before or after `start`. All but UDP addresses of component 1 are ignored, and so are
    /// duplicates, names, and those above `largestRemoteCandidateCount`.
    package mutating func add(_ candidate: ICECandidate) {
        guard candidate.transport == .udp, candidate.component == 1, let address = candidate.address, address.port != 0,
            !address.isUnspecified, self.remoteCandidates.count < Self.largestRemoteCandidateCount,
            !self.remoteCandidates.contains(where: { $0.address == address })
        else { return }
        self.remoteCandidates.append(candidate)
        self.formPairs(with: candidate)
    }

    /// Starts checking.
    package mutating func start(at now: Instant) {
        self.checklist = ICEChecklist(configuration: self.configuration, at: now)
        for candidate in self.remoteCandidates { self.formPairs(with: candidate) }
    }

    /// Starts a new generation (RFC 8445 §9): new credentials, and the remote candidates anew. Media goes on over the
    /// selected path meanwhile.
    package mutating func restart(
        local: ICECredentials,
        remote: ICECredentials,
        locals: [TransportAddress]? = nil,
        candidates: [ICECandidate],
        at now: Instant
    ) {
        if self.previous == nil || self.consent?.generation == 0 { self.previous = self.generation }
        if self.consent == nil { self.previous = nil }
        self.consent?.generation = 1
        self.generation = ICEGeneration(local: local, remote: remote)
        if let locals { self.locals = Array(locals.prefix(Self.largestLocalCount)) }
        self.remoteCandidates = []
        self.checklist = nil
        for candidate in candidates { self.add(candidate) }
        self.start(at: now)
    }

    private mutating func formPairs(with candidate: ICECandidate) {
        guard let remote = candidate.address else { return }
        for (index, local) in self.locals.enumerated() where local.isIPv4 == remote.isIPv4 {
            let preference = UInt16(truncatingIfNeeded: 65_535 - index)
            let hostPriority = ICECandidate.priority(typePreference: 126, localPreference: preference, component: 1)
            let larger = UInt64(max(hostPriority, candidate.priority))
            let smaller = UInt64(min(hostPriority, candidate.priority))
            self.checklist?.addPair(
                ICEPair(
                    path: ICEPath(local: local, remote: remote),
                    localPriority: ICECandidate.priority(
                        typePreference: 110,
                        localPreference: preference,
                        component: 1
                    ),
                    priority: smaller << 32 &+ larger &* 2 &+ (hostPriority > candidate.priority ? 1 : 0)
                )
            )
        }
    }

    package mutating func nextOutput() -> Output {
        guard self.outputs.isEmpty else { return self.outputs.removeFirst() }
        var next = self.checklist?.nextTimeout()
        if let consent = self.consent { next = min(next ?? .distantFuture, consent.nextTimeout) }
        return .wait(until: next)
    }

    /// Does what is due; early calls are harmless.
    package mutating func handleTimeout(at now: Instant, using generator: inout some RandomNumberGenerator) {
        if let consent = self.consent, now >= consent.expiresAt {
            self.outputs.append(.event(.consentExpired(consent.path)))
            self.consent = nil
            self.previous = nil
        }
        if let generation = self.consent.map({ $0.generation == 0 ? self.generation : self.previous ?? self.generation }
        ),
            let id = self.consent?.startCheck(at: now, interval: self.configuration.consentInterval, using: &generator),
            let path = self.consent?.path
        {
            let sender = ICECheckSender(generation: generation, tieBreaker: self.tieBreaker)
            // It nominates, as those of browsers do: a NAT may have given our path another address since, and a lite
            // server sends to a new one only for a nomination.
            self.transmit(sender.request(id, priority: self.consentPriority, nominates: true), on: path)
        }
        guard let checklist = self.checklist else { return }
        if now >= checklist.deadline {
            self.checklist = nil
            // An aggressive agent that has selected was only looking for something better.
            if self.consent == nil || self.consent?.generation == 1 { self.outputs.append(.event(.failed)) }
            return
        }
        let sender = ICECheckSender(generation: self.generation, tieBreaker: self.tieBreaker)
        for item in self.checklist?.handleTimeout(at: now, as: sender, using: &generator) ?? [] {
            self.transmit(item.bytes, on: item.path)
        }
    }

    private var consentPriority: UInt32 {
        ICECandidate.priority(typePreference: 110, localPreference: 65_535, component: 1)
    }

    private mutating func transmit(_ bytes: [UInt8], on path: ICEPath) {
        self.outputs.append(.transmit(bytes, from: path.local, to: path.remote))
    }

    /// Takes a STUN datagram that arrived at one of the caller's sockets.
    ///
    /// - Parameters:
    ///   - source: who sent it.
    ///   - local: the socket that it came in by.
    package mutating func handle(
        _ datagram: RawSpan,
        from source: TransportAddress,
        to local: TransportAddress,
        at now: Instant,
        using generator: inout some RandomNumberGenerator
    ) {
        let path = ICEPath(local: local, remote: source)
        do {
            let message = try STUNMessageView(datagram)
            switch message.messageClass {
            case .request: self.answer(message, on: path)
            case .success, .error: self.handleResponse(message, on: path, at: now, using: &generator)
            case .indication: self.rejections.count(.notARequest)
            }
        } catch {
            self.rejections.count(.malformed)
        }
    }

    private mutating func answer(_ request: STUNMessageView, on path: ICEPath) {
        let generations = [self.generation] + (self.previous.map { [$0] } ?? [])
        switch ICERequestVerdict(of: request, for: generations, role: .controlling, answersStrangers: true) {
        case .authentic(let index):
            let key = generations[index].localKey
            self.transmit(ICEResponse.success(to: request, from: path.remote, key: key), on: path)
        case .rejected(let reason, let response):
            self.rejections.count(reason)
            if let response { self.transmit(response, on: path) }
        }
    }

    private mutating func handleResponse(
        _ response: STUNMessageView,
        on path: ICEPath,
        at now: Instant,
        using generator: inout some RandomNumberGenerator
    ) {
        guard response.method == STUNHeader.bindingMethod, response.fingerprintIsValid else {
            self.rejections.count(.fingerprint)
            return
        }
        let id = response.transactionID
        if let consent = self.consent, consent.isExpecting(id, on: path) {
            let generation = consent.generation == 0 ? self.generation : self.previous ?? self.generation
            guard response.messageClass == .success, response.verifyIntegrity(key: generation.remoteKey) else {
                self.rejections.count(.badIntegrity)
                return
            }
            self.consent?.renew(at: now, lifetime: self.configuration.consentLifetime)
            return
        }
        guard self.checklist?.isExpecting(id, on: path) == true else { return }
        guard response.messageClass == .success else {
            self.checklist?.failed(id, at: now)
            return
        }
        guard response.verifyIntegrity(key: self.generation.remoteKey), response.xorMappedAddress != nil else {
            self.rejections.count(.badIntegrity)
            return
        }
        switch self.checklist?.succeeded(id, at: now) ?? .none {
        case .none: break
        case .validated(let path): self.outputs.append(.event(.validated(path)))
        case .nominated(let path): self.select(path, at: now, using: &generator)
        }
    }

    private mutating func select(
        _ path: ICEPath,
        at now: Instant,
        using generator: inout some RandomNumberGenerator
    ) {
        self.previous = nil
        self.consent = ICEConsent(path: path, at: now, configuration: self.configuration, using: &generator)
        self.outputs.append(.event(.selected(path)))
        if self.checklist?.prune(to: path) != true { self.checklist = nil }
    }
}
