package import Basics
import STUN

/// The server's side of ICE: lite and always controlled, so it answers checks and never sends one (RFC 8445 §2.5).
///
/// Nothing but an authenticated Binding request changes its state (ATTACKS A-41). Drive it with `handle` for every STUN
/// datagram of the transport and with `handleTimeout` at `consentDeadline`.
///
/// A restart keeps two generations: the old one goes on answering, and its selected address goes on carrying media,
/// until the peer nominates with the new credentials (RFC 8445 §9).
package struct ICELiteAgent: Sendable {
    package enum Event: Sendable, Equatable {
        case none
        /// The first authenticated check from this address: DTLS may be listened to from now on.
        case validated(TransportAddress)
        /// Send to this address from now on; it is validated too. After a restart it may be the address that was
        /// selected before: then the previous generation is over and `usernameFragmentKeys` is shorter.
        case selected(TransportAddress)
    }

    package struct Result: Sendable, Equatable {
        /// To be sent to where the datagram came from.
        package let response: [UInt8]?
        package let event: Event
        /// Whether the sender's address is validated now and was not before; `event` says so only without a selection.
        package let isNewlyValidated: Bool
        /// The address that had to make room for it.
        package let invalidated: TransportAddress?

        package init(
            response: [UInt8]?,
            event: Event,
            isNewlyValidated: Bool = false,
            invalidated: TransportAddress? = nil
        ) {
            self.response = response
            self.event = event
            self.isNewlyValidated = isNewlyValidated
            self.invalidated = invalidated
        }
    }

    /// Addresses that a peer may hold validated at once (ATTACKS A-42).
    package static let largestTupleCount = 3
    /// Product rule for a lite agent, with the figure of RFC 7675 §5.1.
    package static let consentLifetime = Nanoseconds.seconds(30)
    /// Changes of the selected address that a peer may cause within `switchWindow` (ATTACKS A-42).
    package static let largestSwitchCount = 2
    package static let switchWindow = Nanoseconds.seconds(1)
    /// An aggressive peer nominates every pair that works and then uses the one of highest priority (RFC 5245 §8.1.1).
    /// So long after its first nomination, one of lower priority does not take over.
    package static let aggressiveNominationWindow = Nanoseconds.seconds(5)

    /// Authentic checks a second, and at once, that are answered for one address. Browsers send up to 50 while they
    /// connect. What is beyond costs us its HMAC and no more: no response, no HMAC of that, no system call.
    package static let largestCheckRate: Int64 = 100
    /// New addresses a second, and at once, that authentic checks may come from: a participant that sends from every
    /// port it has must not keep us busy with entering and removing addresses.
    package static let largestNewAddressRate: Int64 = 20
    /// Error responses a second, and at once, to senders who have proved nothing (ATTACKS ). There is no such
    /// limit on verifying their checks: before it has proved something, the true peer cannot be told from a flood, and
    /// a limit would let a forger who has seen the user name keep it out.
    package static let largestErrorRate: Int64 = 10

    private struct Tuple: Sendable {
        let address: TransportAddress
        var lastHeard: Instant
        var checks = ICERateLimit(rate: ICELiteAgent.largestCheckRate, burst: ICELiteAgent.largestCheckRate)
    }

    private struct Selection: Sendable {
        var address: TransportAddress
        /// The generation that selected it: an index into `generations`.
        var generation: Int
        /// PRIORITY of the nominating check, and when this generation nominated first; `nil` while provisional.
        var nomination: (priority: UInt32, first: Instant)?
        var consentDeadline: Instant
    }

    /// The current one first; the second, if any, is the one before a restart. Never more than two.
    private var generations: [ICEGeneration]
    /// Never more than `largestTupleCount`.
    private var tuples: [Tuple] = []
    private var selection: Selection?
    /// When the selected address changed last, the latest last; never more than `largestSwitchCount`.
    private var switches: [Instant] = []
    private var errors = ICERateLimit(rate: Self.largestErrorRate, burst: Self.largestErrorRate)
    private var newAddresses = ICERateLimit(rate: Self.largestNewAddressRate, burst: Self.largestNewAddressRate)

    package private(set) var rejections = ICERejectionCounts()
    /// Consent ran out: only `restart` revives the transport (RFC 7675 §5.1).
    package private(set) var isConsentExpired = false

    package init(local: ICECredentials, remote: ICECredentials) {
        self.generations = [ICEGeneration(local: local, remote: remote)]
    }

    /// Where to send. Cleared by `handleTimeout`, not by time alone: do not send at or after `consentDeadline`.
    package var selected: TransportAddress? { self.selection?.address }

    /// 30 s after the last authenticated request from the selected address.
    package var consentDeadline: Instant? { self.selection?.consentDeadline }

    /// Whether DTLS and SRTP may be accepted from this address (ATTACKS A-01).
    package func isValidated(_ address: TransportAddress) -> Bool {
        for tuple in self.tuples where tuple.address == address { return true }
        return false
    }

    /// At most `largestTupleCount`, in no particular order.
    package var validatedAddresses: [TransportAddress] { self.tuples.map(\.address) }

    /// What `localUsernameFragmentKey(of:)` must be to belong here: of the current generation, then of the previous.
    package var usernameFragmentKeys: [UInt64] { self.generations.compactMap(\.local.usernameFragmentKey) }

    /// Takes the credentials of a new generation (RFC 8445 §9). Of the older ones the one that carries media is kept.
    package mutating func restart(local: ICECredentials, remote: ICECredentials) {
        let kept = self.isConsentExpired ? nil : self.generations[self.selection?.generation ?? 0]
        self.generations = [ICEGeneration(local: local, remote: remote)]
        if let kept { self.generations.append(kept) }
        self.selection?.generation = 1
        self.isConsentExpired = false
    }

    /// Ends consent when it is due.
    ///
    /// - Returns: the address that must not be sent to any more, once.
    package mutating func handleTimeout(at now: Instant) -> TransportAddress? {
        guard let selection = self.selection, now >= selection.consentDeadline else { return nil }
        self.selection = nil
        self.tuples = []
        // The credentials that had consent are dead; those of a restart under way have never had it.
        if selection.generation == 0 {
            self.isConsentExpired = true
            self.generations = [self.generations[0]]
        } else {
            self.generations.removeLast()
        }
        return selection.address
    }

    /// Takes a STUN datagram that arrived for this transport.
    package mutating func handle(_ datagram: RawSpan, from source: TransportAddress, at now: Instant) -> Result {
        _ = self.handleTimeout(at: now)
        do {
            let request = try STUNMessageView(datagram)
            // Dead credentials authenticate nobody.
            let live = self.isConsentExpired ? [] : self.generations
            let answersStrangers = self.errors.hasRoom(at: now)
            switch ICERequestVerdict(
                of: request,
                for: live,
                role: .controlled,
                answersStrangers: answersStrangers
            ) {
            case .rejected(let reason, let response):
                self.rejections.count(reason)
                guard let response else { break }
                if reason == .unknownAttribute || reason == .roleConflict {
                    guard self.allowsCheck(from: source, at: now) else { break }
                } else {
                    self.errors.take(at: now)
                }
                return Result(response: response, event: .none)
            case .authentic(let generation):
                guard self.allowsCheck(from: source, at: now) else {
                    self.rejections.count(.tooManyChecks)
                    break
                }
                guard let accepted = self.accept(request, from: source, generation: generation, at: now) else {
                    self.rejections.count(.tooManySwitches)
                    break
                }
                // Looked up before `accept` may have dropped the previous generation: 0 is then the only one left.
                let key = live[generation].localKey
                return Result(
                    response: ICEResponse.success(to: request, from: source, key: key),
                    event: accepted.event,
                    isNewlyValidated: accepted.isNew,
                    invalidated: accepted.invalidated
                )
            }
        } catch {
            self.rejections.count(.malformed)
        }
        return Result(response: nil, event: .none)
    }

    /// Whether an authentic request is within what this address may send.
    private mutating func allowsCheck(from source: TransportAddress, at now: Instant) -> Bool {
        for index in self.tuples.indices where self.tuples[index].address == source {
            return self.tuples[index].checks.allows(at: now)
        }
        return self.newAddresses.allows(at: now)
    }

    /// - Returns: `nil` when the request nominates too soon after other nominations; then nothing has changed.
    private mutating func accept(
        _ request: STUNMessageView,
        from source: TransportAddress,
        generation: Int,
        at now: Instant
    ) -> (event: Event, isNew: Bool, invalidated: TransportAddress?)? {
        let selects = self.selects(request, from: source, generation: generation, at: now)
        if selects, let selection = self.selection, selection.address != source {
            self.switches.removeAll { now - $0 >= Self.switchWindow }
            guard self.switches.count < Self.largestSwitchCount else { return nil }
            self.switches.append(now)
        }
        let deadline = now + Self.consentLifetime
        let (isNewAddress, invalidated) = self.remember(source, at: now)
        var event = isNewAddress ? Event.validated(source) : .none
        if selects {
            let isNew = self.selection?.address != source || self.selection?.generation != generation
            if isNew { event = .selected(source) }
            let priority = request.priority ?? 0
            let isSameGeneration = self.selection?.generation == generation
            let first = isSameGeneration ? self.selection?.nomination?.first : nil
            self.selection = Selection(
                address: source,
                generation: generation,
                nomination: request.useCandidate ? (priority, first ?? now) : nil,
                consentDeadline: deadline
            )
            if generation == 0, request.useCandidate { self.generations = [self.generations[0]] }
        } else if self.selection?.address == source {
            self.selection?.consentDeadline = deadline
        }
        return (event, isNewAddress, invalidated)
    }

    /// Whether an authentic request decides where media goes.
    private func selects(
        _ request: STUNMessageView,
        from source: TransportAddress,
        generation: Int,
        at now: Instant
    ) -> Bool {
        // The first check selects for the time being, so that DTLS can start before the nomination.
        guard let selection = self.selection else { return true }
        guard request.useCandidate else { return false }
        // Once the new generation has nominated, the previous one is gone; until it has, the old may still move.
        guard selection.generation == generation else { return generation < selection.generation }
        guard let nomination = selection.nomination, selection.address != source else { return true }
        let isEarly = now - nomination.first < Self.aggressiveNominationWindow
        return !isEarly || (request.priority ?? 0) >= nomination.priority
    }

    /// - Returns: whether the address is new, and which one made room for it.
    private mutating func remember(
        _ source: TransportAddress,
        at now: Instant
    ) -> (isNew: Bool, invalidated: TransportAddress?) {
        for index in self.tuples.indices where self.tuples[index].address == source {
            self.tuples[index].lastHeard = now
            return (false, nil)
        }
        var invalidated: TransportAddress?
        if self.tuples.count >= Self.largestTupleCount {
            var oldest: Int?
            for index in self.tuples.indices where self.tuples[index].address != self.selection?.address {
                if let best = oldest, self.tuples[best].lastHeard <= self.tuples[index].lastHeard { continue }
                oldest = index
            }
            if let oldest { invalidated = self.tuples.remove(at: oldest).address }
        }
        var tuple = Tuple(address: source, lastHeard: now)
        tuple.checks.take(at: now)
        self.tuples.append(tuple)
        return (true, invalidated)
    }
}
