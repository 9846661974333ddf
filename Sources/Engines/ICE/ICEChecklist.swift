import Basics
import STUN

/// A local base and a remote candidate, and what checks have found out about them (RFC 8445 §6.1.2).
struct ICEPair: Sendable {
    enum State: Sendable { case waiting, inProgress, succeeded }

    let path: ICEPath
    /// For PRIORITY in checks: what the candidate would have as a peer-reflexive one (RFC 8445 §7.1.1).
    let localPriority: UInt32
    /// RFC 8445 §6.1.2.3, with us controlling.
    let priority: UInt64
    var state = State.waiting
    var attemptCount = 0
}

/// The checks of one generation: which pair is tried when, how long an answer is waited for, and which is nominated.
///
/// Pairs that fail are tried again until `deadline`, as browsers do: a lossy network must not make a call impossible.
struct ICEChecklist: Sendable {
    /// RFC 8445 §6.1.2.5.
    static let largestPairCount = 100
    /// Besides a nomination (ATTACKS A-40).
    static let largestInFlightCount = 5

    struct Transaction: Sendable {
        let id: STUNTransactionID
        let path: ICEPath
        let isNomination: Bool
        let request: [UInt8]
        var transmissionCount = 1
        var timeout: Nanoseconds
        var nextAt: Instant
    }

    struct Transmission { let bytes: [UInt8], path: ICEPath }

    /// What a success response meant.
    enum Outcome { case none, validated(ICEPath), nominated(ICEPath) }

    private let configuration: ICEAgent.Configuration
    /// Best first.
    private(set) var pairs: [ICEPair] = []
    private var transactions: [Transaction] = []
    private var nextCheckAt: Instant
    let deadline: Instant
    private var firstValidAt: Instant?

    init(configuration: ICEAgent.Configuration, at now: Instant) {
        self.configuration = configuration
        self.nextCheckAt = now
        self.deadline = now + configuration.checkLifetime
    }

    mutating func addPair(_ pair: ICEPair) {
        guard self.pairs.count < Self.largestPairCount, !self.pairs.contains(where: { $0.path == pair.path }) else {
            return
        }
        let position = self.pairs.firstIndex { $0.priority < pair.priority } ?? self.pairs.endIndex
        self.pairs.insert(pair, at: position)
    }

    /// When `handleTimeout` has something to do next.
    func nextTimeout() -> Instant {
        var next = self.deadline
        for transaction in self.transactions { next = min(next, transaction.nextAt) }
        if self.hasRoom, self.pairs.contains(where: { $0.state == .waiting }) { next = min(next, self.nextCheckAt) }
        if self.isNominationPending {
            next = min(next, max(self.nextCheckAt, self.nominationTime))
        }
        return next
    }

    /// For checks that find pairs; the one nomination goes beside them, so that dead pairs cannot hold it up.
    private var hasRoom: Bool {
        self.transactions.count { $0.isNomination == self.configuration.nominatesAggressively }
            < Self.largestInFlightCount
    }

    private var isNominationPending: Bool {
        !self.configuration.nominatesAggressively && self.firstValidAt != nil
            && !self.transactions.contains(where: \.isNomination)
    }

    /// At once when nothing better is still being tried, else after a little patience.
    private var nominationTime: Instant {
        guard let firstValidAt = self.firstValidAt else { return .distantFuture }
        let isBestValid = self.pairs.first?.state == .succeeded
        return isBestValid ? firstValidAt : firstValidAt + self.configuration.nominationPatience
    }

    /// Retransmits what is due and starts at most one check, so that checks are `pacing` apart (RFC 8445 §14.2).
    mutating func handleTimeout(
        at now: Instant,
        as sender: ICECheckSender,
        using generator: inout some RandomNumberGenerator
    ) -> [Transmission] {
        var output: [Transmission] = []
        var abandoned: [ICEPath] = []
        // While other pairs queue for one of the few places in flight, a silent one has its turn again later.
        let isContended = self.pairs.contains { $0.state == .waiting }
        let limit = min(self.configuration.largestTransmissionCount, isContended ? 3 : .max)
        for index in self.transactions.indices where now >= self.transactions[index].nextAt {
            guard self.transactions[index].transmissionCount < limit else {
                abandoned.append(self.transactions[index].path)
                continue
            }
            self.transactions[index].transmissionCount += 1
            let longest = max(self.configuration.initialTimeout * 16, self.transactions[index].timeout)
            let timeout = min(self.transactions[index].timeout * 2, longest)
            self.transactions[index].timeout = timeout
            self.transactions[index].nextAt = now + timeout
            let transaction = self.transactions[index]
            output.append(Transmission(bytes: transaction.request, path: transaction.path))
        }
        if !abandoned.isEmpty {
            self.transactions.removeAll {
                now >= $0.nextAt && $0.transmissionCount >= limit
            }
            for path in abandoned { self.retryLater(path) }
        }
        guard now >= self.nextCheckAt else { return output }
        let check: (pair: ICEPair, isNomination: Bool)
        if self.isNominationPending, now >= self.nominationTime,
            let best = self.pairs.first(where: { $0.state == .succeeded })
        {
            check = (best, true)
        } else if self.hasRoom, let index = self.nextWaiting {
            self.pairs[index].state = .inProgress
            self.pairs[index].attemptCount += 1
            check = (self.pairs[index], self.configuration.nominatesAggressively)
        } else {
            return output
        }
        self.nextCheckAt = now + self.configuration.pacing
        let id = STUNTransactionID.random(using: &generator)
        let request = sender.request(id, priority: check.pair.localPriority, nominates: check.isNomination)
        let active = Int64(min(self.pairs.count { $0.state != .succeeded }, Self.largestInFlightCount))
        let timeout = max(self.configuration.initialTimeout, self.configuration.pacing * active)
        self.transactions.append(
            Transaction(
                id: id,
                path: check.pair.path,
                isNomination: check.isNomination,
                request: request,
                timeout: timeout,
                nextAt: now + timeout
            )
        )
        output.append(Transmission(bytes: request, path: check.pair.path))
        return output
    }

    /// Whether a response on this path answers one of our checks. Responses must come back the way that the request
    /// went (RFC 8445 §7.2.5.2.1).
    func isExpecting(_ id: STUNTransactionID, on path: ICEPath) -> Bool {
        self.transactions.contains { $0.id == id && $0.path == path }
    }

    /// Takes an authenticated success response.
    mutating func succeeded(_ id: STUNTransactionID, at now: Instant) -> Outcome {
        guard let position = self.transactions.firstIndex(where: { $0.id == id }) else { return .none }
        let transaction = self.transactions.remove(at: position)
        guard let index = self.pairs.firstIndex(where: { $0.path == transaction.path }) else { return .none }
        self.pairs[index].state = .succeeded
        self.firstValidAt = self.firstValidAt ?? now
        return transaction.isNomination ? .nominated(transaction.path) : .validated(transaction.path)
    }

    /// Takes an error response: the pair is tried again later, since the peer may not know the credentials yet.
    mutating func failed(_ id: STUNTransactionID, at now: Instant) {
        guard let position = self.transactions.firstIndex(where: { $0.id == id }) else { return }
        let transaction = self.transactions.remove(at: position)
        self.retryLater(transaction.path)
        self.nextCheckAt = max(self.nextCheckAt, now + self.configuration.initialTimeout)
    }

    /// Keeps only what is better than the pair just nominated: aggressive nomination may still move up.
    mutating func prune(to path: ICEPath) -> Bool {
        let priority = self.pairs.first { $0.path == path }?.priority ?? 0
        self.pairs.removeAll { $0.priority <= priority }
        self.transactions.removeAll { transaction in !self.pairs.contains { $0.path == transaction.path } }
        return self.configuration.nominatesAggressively && !self.pairs.isEmpty
    }

    /// The best of the pairs that were tried least often, so that none starves.
    private var nextWaiting: Int? {
        var best: Int?
        for index in self.pairs.indices where self.pairs[index].state == .waiting {
            if let best, self.pairs[best].attemptCount <= self.pairs[index].attemptCount { continue }
            best = index
        }
        return best
    }

    private mutating func retryLater(_ path: ICEPath) {
        guard let index = self.pairs.firstIndex(where: { $0.path == path }), self.pairs[index].state == .inProgress
        else { return }
        self.pairs[index].state = .waiting
    }
}
