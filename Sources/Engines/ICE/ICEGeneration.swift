import Basics
import STUN

/// Both sides' credentials between two restarts, in the forms that checks need (RFC 8445 §9).
struct ICEGeneration: Sendable {
    let local: ICECredentials
    /// USERNAME of the peer's requests: `ours:theirs`.
    private let incomingUsername: [UInt8]
    /// USERNAME of our requests: `theirs:ours`.
    let outgoingUsername: [UInt8]
    let localKey: STUNIntegrityKey
    let remoteKey: STUNIntegrityKey

    init(local: ICECredentials, remote: ICECredentials) {
        self.local = local
        self.incomingUsername = Array("\(local.usernameFragment):\(remote.usernameFragment)".utf8)
        self.outgoingUsername = Array("\(remote.usernameFragment):\(local.usernameFragment)".utf8)
        self.localKey = STUNIntegrityKey(local.password.value.utf8)
        self.remoteKey = STUNIntegrityKey(remote.password.value.utf8)
    }

    func isAddressed(by request: STUNMessageView) -> Bool { request.usernameIs(self.incomingUsername) }
}

/// The answers to a Binding request (RFC 8445 §7.3.1, RFC 8489 §6.3.1).
enum ICEResponse {
    /// An answer to somebody who has not proved anything: never signed (RFC 8489 §9.1.3).
    static func unsigned(_ code: Int, _ reason: String, to request: STUNMessageView) -> [UInt8] {
        var builder = STUNMessageBuilder(.error, transactionID: request.transactionID)
        builder.addErrorCode(code, reason: reason)
        return builder.finish()
    }

    static func unknownAttributes(
        _ types: [STUNAttributeType],
        to request: STUNMessageView,
        key: STUNIntegrityKey
    ) -> [UInt8] {
        var builder = STUNMessageBuilder(.error, transactionID: request.transactionID)
        builder.addErrorCode(420, reason: "Unknown Attribute")
        builder.addUnknownAttributes(types)
        return builder.finish(key: key, algorithm: request.integrityAlgorithm ?? .sha1)
    }

    static func roleConflict(to request: STUNMessageView, key: STUNIntegrityKey) -> [UInt8] {
        var builder = STUNMessageBuilder(.error, transactionID: request.transactionID)
        builder.addErrorCode(487, reason: "Role Conflict")
        return builder.finish(key: key, algorithm: request.integrityAlgorithm ?? .sha1)
    }

    static func success(
        to request: STUNMessageView,
        from address: TransportAddress,
        key: STUNIntegrityKey
    ) -> [UInt8] {
        var builder = STUNMessageBuilder(.success, transactionID: request.transactionID)
        builder.addXORMappedAddress(address)
        return builder.finish(key: key, algorithm: request.integrityAlgorithm ?? .sha1)
    }
}
