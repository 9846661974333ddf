import Basics
import ICE
import STUN

/// When every test begins.
let epoch = Instant(nanoseconds: 1_000_000_000_000)

func address(_ text: String, _ port: UInt16 = 5000) -> TransportAddress { TransportAddress(text, port: port)! }

let alice = address("192.0.2.1")
let bob = address("192.0.2.2")
let carol = address("2001:db8::3")
let dave = address("198.51.100.4")

let serverCredentials = ICECredentials(usernameFragment: "SRVRfrag", password: Redacted("serverPasswordOf24Chars+"))
let clientCredentials = ICECredentials(usernameFragment: "cli1", password: Redacted("clientPasswordOf24Chars+"))
let newServerCredentials = ICECredentials(usernameFragment: "SRVRnew2", password: Redacted("newServerPassword24Chars"))
let newClientCredentials = ICECredentials(usernameFragment: "cli2", password: Redacted("newClientPassword24Chars"))

/// A Binding request of a client, right unless it is told otherwise.
struct Check {
    var messageClass = STUNMessageClass.request
    var method: UInt16 = 1
    var username: String? = "SRVRfrag:cli1"
    var password: String? = serverCredentials.password.value
    var algorithm = STUNIntegrityAlgorithm.sha1
    var priority: UInt32? = 1_000
    var nominates = false
    var controlled: UInt64?
    var controlling: UInt64? = 1
    var unknown: [UInt16] = []
    var hasFingerprint = true
    var id = STUNTransactionID(high: 1, low: 2)

    static let renewed = Check(username: "SRVRnew2:cli2", password: newServerCredentials.password.value)

    func nominating(_ priority: UInt32 = 1_000) -> Check {
        var copy = self
        copy.nominates = true
        copy.priority = priority
        return copy
    }

    var datagram: [UInt8] {
        var builder = STUNMessageBuilder(self.messageClass, method: self.method, transactionID: self.id)
        if let username = self.username { builder.addUsername(username.utf8) }
        if let controlling = self.controlling { builder.addICEControlling(tieBreaker: controlling) }
        if let controlled = self.controlled { builder.addICEControlled(tieBreaker: controlled) }
        if let priority = self.priority { builder.addPriority(priority) }
        if self.nominates { builder.addUseCandidate() }
        for type in self.unknown { builder.add(STUNAttributeType(rawValue: type), []) }
        let key = self.password.map { STUNIntegrityKey($0.utf8) }
        return builder.finish(key: key, algorithm: self.algorithm, fingerprint: self.hasFingerprint)
    }
}

extension ICELiteAgent {
    static func make() -> Self { Self(local: serverCredentials, remote: clientCredentials) }

    mutating func take(_ check: Check, from source: TransportAddress, at now: Instant = epoch) -> Result {
        let datagram = check.datagram
        return self.handle(datagram.span.bytes, from: source, at: now)
    }

    /// Everything that a forged request must not change.
    var state: LiteState {
        LiteState(
            selected: self.selected,
            consentDeadline: self.consentDeadline,
            validated: self.validatedAddresses,
            keys: self.usernameFragmentKeys,
            isConsentExpired: self.isConsentExpired
        )
    }
}

struct LiteState: Equatable {
    let selected: TransportAddress?
    let consentDeadline: Instant?
    let validated: [TransportAddress]
    let keys: [UInt64]
    let isConsentExpired: Bool
}

/// What a response says.
struct Answer: Equatable {
    let messageClass: STUNMessageClass
    let code: Int?
    let isSigned: Bool

    static let success = Answer(messageClass: .success, code: nil, isSigned: true)
    static func error(_ code: Int, signed: Bool = false) -> Answer {
        Answer(messageClass: .error, code: code, isSigned: signed)
    }

    init(messageClass: STUNMessageClass, code: Int?, isSigned: Bool) {
        self.messageClass = messageClass
        self.code = code
        self.isSigned = isSigned
    }

    /// `nil` without a response, or for one that is not well formed or has no FINGERPRINT.
    init?(_ response: [UInt8]?, password: String = serverCredentials.password.value) {
        guard let response, let view = try? STUNMessageView(response.span.bytes), view.fingerprintIsValid else {
            return nil
        }
        let isSigned = view.integrityAlgorithm != nil
        guard !isSigned || view.verifyIntegrity(key: STUNIntegrityKey(password.utf8)) else { return nil }
        self.init(messageClass: view.messageClass, code: view.errorCode, isSigned: isSigned)
    }
}
