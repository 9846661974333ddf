package import Basics

/// Why a candidate line is not one (RFC 8839 §5.1).
package enum ICECandidateError: Error, Equatable, Sendable {
    case tooLong(byteCount: Int)
    case missingField(Field)
    case invalidField(Field)

    package enum Field: Sendable, Equatable, CaseIterable {
        case foundation, component, transport, priority, address, port, kind, relatedAddress, relatedPort, tcpType
        case usernameFragment
    }
}

/// One way to reach a peer, as SDP and trickling carry it (RFC 8839 §5.1). Parsing one never causes traffic.
package struct ICECandidate: Sendable, Equatable {
    package enum Transport: Sendable, Equatable {
        case udp, tcp
        /// Kept so that it can be skipped by name.
        case other(String)
    }

    package enum Kind: Sendable, Equatable {
        case host, serverReflexive, peerReflexive, relayed
        case other(String)
    }

    package enum Host: Sendable, Equatable {
        /// A literal address; its port is the candidate's.
        case address(TransportAddress)
        /// A domain name, such as the `.local` of mDNS: never resolved (ATTACKS A-40).
        case unresolved(String)
    }

    /// RFC 6544 §4.5.
    package enum TCPType: String, Sendable, CaseIterable {
        case active, passive
        case simultaneousOpen = "so"
    }

    /// A longer line is refused: what browsers send stays below 250 bytes.
    package static let largestByteCount = 512

    package var foundation: String
    /// 1...256; 1 is RTP, or RTP and RTCP with rtcp-mux.
    package var component: Int
    package var transport: Transport
    package var priority: UInt32
    package var host: Host
    package var port: UInt16
    package var kind: Kind
    package var related: Host?
    package var relatedPort: UInt16?
    package var tcpType: TCPType?
    /// The generation that it belongs to, when trickled (RFC 8838 §4.1 through libwebrtc's `ufrag` extension).
    package var usernameFragment: String?

    /// A UDP host candidate.
    package init(host address: TransportAddress, foundation: String = "1", component: Int = 1, priority: UInt32? = nil)
    {
        self.foundation = foundation
        self.component = component
        self.transport = .udp
        self.priority = priority ?? Self.priority(typePreference: 126, localPreference: 65_535, component: component)
        self.host = .address(address)
        self.port = address.port
        self.kind = .host
    }

    /// Where checks could go: `nil` for a name.
    package var address: TransportAddress? {
        if case .address(let address) = self.host { return address }
        return nil
    }

    /// RFC 8445 §5.1.2.1.
    ///
    /// - Parameters:
    ///   - typePreference: 0...126; 126 for host candidates.
    ///   - localPreference: 0...65535.
    ///   - component: 1...256.
    package static func priority(typePreference: UInt8, localPreference: UInt16, component: Int) -> UInt32 {
        UInt32(min(typePreference, 126)) << 24 | UInt32(localPreference) << 8
            | UInt32(256 - min(max(component, 1), 256))
    }
}

extension ICECandidate: CustomStringConvertible {
    /// The attribute's name and value, without `a=`.
    package var description: String {
        var text = "candidate:\(self.foundation) \(self.component) \(self.transport.name) \(self.priority)"
        text += " \(self.host.text) \(self.port) typ \(self.kind.name)"
        if let related = self.related { text += " raddr \(related.text)" }
        if let port = self.relatedPort { text += " rport \(port)" }
        if let type = self.tcpType { text += " tcptype \(type.rawValue)" }
        if let fragment = self.usernameFragment { text += " ufrag \(fragment)" }
        return text
    }
}

extension ICECandidate.Host {
    fileprivate var text: String {
        switch self {
        case .address(let address): address.ip
        case .unresolved(let name): name
        }
    }
}

extension ICECandidate.Transport {
    fileprivate var name: String {
        switch self {
        case .udp: "udp"
        case .tcp: "tcp"
        case .other(let name): name
        }
    }
}

extension ICECandidate.Kind {
    fileprivate var name: String {
        switch self {
        case .host: "host"
        case .serverReflexive: "srflx"
        case .peerReflexive: "prflx"
        case .relayed: "relay"
        case .other(let name): name
        }
    }
}
