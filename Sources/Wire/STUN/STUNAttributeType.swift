/// An attribute's type (RFC 8489 §18.3). A struct, not an enum: TURN adds its own in an extension.
package struct STUNAttributeType: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
    package let rawValue: UInt16
    @inlinable package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Types below 0x8000 must be understood by the receiver, the others may be skipped (RFC 8489 §14).
    @inlinable package var isComprehensionRequired: Bool { self.rawValue < 0x8000 }

    package static let mappedAddress = Self(rawValue: 0x0001)
    package static let username = Self(rawValue: 0x0006)
    package static let messageIntegrity = Self(rawValue: 0x0008)
    package static let errorCode = Self(rawValue: 0x0009)
    package static let unknownAttributes = Self(rawValue: 0x000A)
    package static let realm = Self(rawValue: 0x0014)
    package static let nonce = Self(rawValue: 0x0015)
    package static let messageIntegritySHA256 = Self(rawValue: 0x001C)
    package static let passwordAlgorithm = Self(rawValue: 0x001D)
    package static let userhash = Self(rawValue: 0x001E)
    package static let xorMappedAddress = Self(rawValue: 0x0020)
    package static let passwordAlgorithms = Self(rawValue: 0x8002)
    package static let software = Self(rawValue: 0x8022)
    package static let fingerprint = Self(rawValue: 0x8028)

    // RFC 8445 §16.1.
    package static let priority = Self(rawValue: 0x0024)
    package static let useCandidate = Self(rawValue: 0x0025)
    package static let iceControlled = Self(rawValue: 0x8029)
    package static let iceControlling = Self(rawValue: 0x802A)

    /// Whether a Binding transaction knows what to do with this comprehension-required attribute.
    package var isKnownToBinding: Bool {
        switch self {
        case .mappedAddress, .username, .messageIntegrity, .errorCode, .unknownAttributes, .realm, .nonce,
            .messageIntegritySHA256, .passwordAlgorithm, .userhash, .xorMappedAddress, .priority, .useCandidate:
            true
        default:
            false
        }
    }
}
