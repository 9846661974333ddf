import Basics
import STUN

/// Why a datagram changed nothing. Counted, not logged: the sender picks how many there are.
package enum ICERejection: Int, Sendable, Hashable, CaseIterable {
    /// Not a well-formed STUN message.
    case malformed
    /// A response or an indication, or a method other than Binding.
    case notARequest
    /// FINGERPRINT is missing or wrong; ICE requires it (RFC 8445 §7.3).
    case fingerprint
    /// USERNAME or the integrity attribute is missing: answered by 400.
    case missingCredentials
    /// USERNAME is not `ours:theirs` of a live generation: answered by 401.
    case unknownUsername
    /// The HMAC is wrong: answered by 401.
    case badIntegrity
    /// Answered by 420.
    case unknownAttribute
    /// The peer claims our role: answered by 487.
    case roleConflict
    /// A nomination too soon after others: dropped, so that the peer's retransmission can succeed (ATTACKS A-42).
    case tooManySwitches
    /// An authentic check beyond what a peer may send: dropped (`ICELiteAgent.largestCheckRate`).
    case tooManyChecks
}

/// How often each rejection happened.
package struct ICERejectionCounts: Sendable, Equatable {
    /// In place, not on the heap: a flood is counted too. One for each case of `ICERejection`.
    private var counts = InlineArray<10, UInt64>(repeating: 0)

    package init() {}

    package static func == (lhs: Self, rhs: Self) -> Bool {
        ICERejection.allCases.allSatisfy { lhs[$0] == rhs[$0] }
    }

    package subscript(reason: ICERejection) -> UInt64 { self.counts[reason.rawValue] }

    package var total: UInt64 { ICERejection.allCases.reduce(0) { $0 &+ self[$1] } }

    mutating func count(_ reason: ICERejection) { self.counts[reason.rawValue] &+= 1 }
}

/// What the credentials of a Binding request are worth, checked cheapest first (ATTACKS A-44).
enum ICERequestVerdict {
    /// The index of the generation that the request belongs to.
    case authentic(generation: Int)
    case rejected(ICERejection, response: [UInt8]?)

    /// - Parameters:
    ///   - role: the role that we hold; a peer that claims it too gets 487 (RFC 8445 §7.3.1.1).
    ///   - answersStrangers: whether one who has proved nothing gets an error response.
    init(
        of request: STUNMessageView,
        for generations: [ICEGeneration],
        role: Role,
        answersStrangers: Bool
    ) {
        guard request.messageClass == .request, request.method == STUNHeader.bindingMethod else {
            self = .rejected(.notARequest, response: nil)
            return
        }
        guard request.fingerprintIsValid else {
            self = .rejected(.fingerprint, response: nil)
            return
        }
        guard request.integrityAlgorithm != nil, request.usernameRange != nil else {
            let response = answersStrangers ? ICEResponse.unsigned(400, "Bad Request", to: request) : nil
            self = .rejected(.missingCredentials, response: response)
            return
        }
        var match: Int?
        for index in generations.indices where generations[index].isAddressed(by: request) { match = match ?? index }
        guard let match else {
            let response = answersStrangers ? ICEResponse.unsigned(401, "Unauthenticated", to: request) : nil
            self = .rejected(.unknownUsername, response: response)
            return
        }
        let key = generations[match].localKey
        guard request.verifyIntegrity(key: key) else {
            let response = answersStrangers ? ICEResponse.unsigned(401, "Unauthenticated", to: request) : nil
            self = .rejected(.badIntegrity, response: response)
            return
        }
        let unknown = request.unknownRequiredAttributes()
        guard unknown.isEmpty else {
            let response = ICEResponse.unknownAttributes(unknown, to: request, key: key)
            self = .rejected(.unknownAttribute, response: response)
            return
        }
        let isConflict = role == .controlled ? request.iceControlled != nil : request.iceControlling != nil
        guard !isConflict else {
            self = .rejected(.roleConflict, response: ICEResponse.roleConflict(to: request, key: key))
            return
        }
        self = .authentic(generation: match)
    }

    /// Neither of our agents ever changes its role: the server is lite and so controlled, and a client of a lite
    /// server is controlling (RFC 8445 §6.1.1).
    enum Role { case controlling, controlled }
}
