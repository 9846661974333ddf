import Basics
import STUN

/// Whether we may keep sending on the selected path, and when to ask again (RFC 7675 §5.1).
struct ICEConsent: Sendable {
    /// 30 s of checks at least 4 s apart: an answer to any of them counts.
    private static let largestOutstandingCount = 8

    let path: ICEPath
    /// 0 for the current generation of credentials, 1 for the one before a restart.
    var generation = 0
    private(set) var expiresAt: Instant
    private var nextCheckAt: Instant
    private var outstanding: [STUNTransactionID] = []

    init(
        path: ICEPath,
        at now: Instant,
        configuration: ICEAgent.Configuration,
        using generator: inout some RandomNumberGenerator
    ) {
        self.path = path
        self.expiresAt = now + configuration.consentLifetime
        self.nextCheckAt = now + Self.jittered(configuration.consentInterval, using: &generator)
    }

    private static func jittered(
        _ interval: Nanoseconds,
        using generator: inout some RandomNumberGenerator
    ) -> Nanoseconds {
        Nanoseconds.fractionalSeconds(interval.inSeconds * Double.random(in: 0.8...1.2, using: &generator))
    }

    var nextTimeout: Instant { min(self.expiresAt, self.nextCheckAt) }

    /// - Returns: the transaction of a consent check, when one is due. It is never retransmitted.
    mutating func startCheck(
        at now: Instant,
        interval: Nanoseconds,
        using generator: inout some RandomNumberGenerator
    ) -> STUNTransactionID? {
        guard now >= self.nextCheckAt else { return nil }
        self.nextCheckAt = now + Self.jittered(interval, using: &generator)
        let id = STUNTransactionID.random(using: &generator)
        if self.outstanding.count >= Self.largestOutstandingCount { self.outstanding.removeFirst() }
        self.outstanding.append(id)
        return id
    }

    func isExpecting(_ id: STUNTransactionID, on path: ICEPath) -> Bool {
        path == self.path && self.outstanding.contains(id)
    }

    mutating func renew(at now: Instant, lifetime: Nanoseconds) {
        self.expiresAt = now + lifetime
        self.outstanding = []
    }
}

/// Writes our Binding requests (RFC 8445 §7.2.4).
struct ICECheckSender: Sendable {
    let generation: ICEGeneration
    let tieBreaker: UInt64

    func request(_ id: STUNTransactionID, priority: UInt32, nominates: Bool) -> [UInt8] {
        var builder = STUNMessageBuilder(.request, transactionID: id)
        builder.addUsername(self.generation.outgoingUsername)
        builder.addICEControlling(tieBreaker: self.tieBreaker)
        builder.addPriority(priority)
        if nominates { builder.addUseCandidate() }
        return builder.finish(key: self.generation.remoteKey)
    }
}
