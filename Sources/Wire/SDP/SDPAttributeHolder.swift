/// An attribute whose value has a grammar of its own.
package protocol SDPAttributeValue: Sendable, Hashable {
    /// What stands between `a=` and `:`.
    static var attributeName: String { get }
    /// What stands after `:`; `nil` when it does not follow the grammar.
    init?(attributeValue: Substring)
    var attributeValue: String { get }
}

/// Typed access to a list of attributes. Every call walks the list once.
package protocol SDPAttributeHolder {
    var attributes: [SDPAttribute] { get set }
}

extension SDPAttributeHolder {
    package func has(_ name: String) -> Bool { self.attributes.contains { $0.name == name } }

    /// The value of the first attribute of this name; `nil` without one, or when it is a flag.
    package func value(of name: String) -> String? { self.attributes.first { $0.name == name }?.value }

    /// All attributes of one kind that follow its grammar, in order.
    package func all<Value: SDPAttributeValue>(_ type: Value.Type) -> [Value] {
        self.attributes.compactMap { attribute in
            guard attribute.name == Value.attributeName else { return nil }
            return attribute.value.flatMap { Value(attributeValue: Substring($0)) }
        }
    }

    package func first<Value: SDPAttributeValue>(_ type: Value.Type) -> Value? {
        self.value(of: Value.attributeName).flatMap { Value(attributeValue: Substring($0)) }
    }

    /// The first of `a=sendrecv`, `a=sendonly`, `a=recvonly` and `a=inactive`.
    package var direction: SDPAttribute.Direction? {
        for attribute in self.attributes where attribute.value == nil {
            if let direction = SDPAttribute.Direction(rawValue: attribute.name) { return direction }
        }
        return nil
    }

    package var iceUsernameFragment: String? { self.value(of: "ice-ufrag") }
    package var icePassword: String? { self.value(of: "ice-pwd") }
    package var iceOptions: [String] {
        Substring(self.value(of: "ice-options") ?? "").split(at: UInt8(ascii: " ")).map { String($0) }
    }
    package var isICELite: Bool { self.has("ice-lite") }
    package var hasEndOfCandidates: Bool { self.has("end-of-candidates") }
    /// What follows `a=`, as `RTCIceCandidate.candidate` has it: `candidate:1 1 udp ...`.
    package var candidates: [String] {
        self.attributes.compactMap { $0.name == "candidate" ? "candidate:\($0.value ?? "")" : nil }
    }
    package var allowsMixedExtensions: Bool { self.has("extmap-allow-mixed") }
}

extension SessionDescription {
    /// The mids of the first BUNDLE group; `nil` without one (RFC 9143 §7).
    package var bundle: [String]? {
        self.all(SDPAttribute.MediaGroup.self).first { $0.semantics == "BUNDLE" }?.mids
    }
}

extension MediaDescription {
    package var mid: String? { self.value(of: "mid") }
    package var isBundleOnly: Bool { self.has("bundle-only") }
    package var hasRTCPMux: Bool { self.has("rtcp-mux") || self.has("rtcp-mux-only") }
    package var hasReducedSizeRTCP: Bool { self.has("rtcp-rsize") }
    /// That each side echoes the other's reference times, so that who only receives knows the round trip time as well
    /// (RFC 3611 §5.1).
    package var hasReceiverRoundTrip: Bool {
        self.value(of: "rtcp-xr")?.split(separator: " ").contains { $0 == "rcvr-rtt" || $0.hasPrefix("rcvr-rtt=") }
            ?? false
    }
    /// Feedback by SSRC and RTP sequence number; for all formats, or not at all (RFC 8888 §6).
    package var offersCongestionControlFeedback: Bool {
        self.all(SDPAttribute.RTCPFeedback.self).contains { $0 == .congestionControlFeedback }
    }
    package var sctpPort: UInt16? { self.value(of: "sctp-port").flatMap { Substring($0).decimal(UInt16.self) } }
    package var maximumMessageSize: UInt64? {
        self.value(of: "max-message-size").flatMap { Substring($0).decimal(UInt64.self) }
    }
}
