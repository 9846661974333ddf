extension SDPAttribute {
    /// `a=fingerprint:sha-256 AB:CD:...` (RFC 8122 §5).
    package struct CertificateFingerprint: SDPAttributeValue {
        package static let attributeName = "fingerprint"
        /// In lower case. Any name is taken; the length of the digest is not checked against it.
        package var hash: String
        package var digest: [UInt8]

        package init(hash: String, digest: [UInt8]) {
            self.hash = hash
            self.digest = digest
        }

        package init?(attributeValue: Substring) {
            let parts = attributeValue.split(at: UInt8(ascii: " "))
            guard parts.count == 2, parts[0].isToken else { return nil }
            var digest: [UInt8] = []
            for pair in parts[1].split(at: UInt8(ascii: ":")) {
                guard pair.utf8.count == 2, pair.utf8.first != UInt8(ascii: "+"), pair.utf8.first != UInt8(ascii: "-"),
                    let byte = UInt8(pair, radix: 16)
                else { return nil }
                digest.append(byte)
            }
            guard !digest.isEmpty else { return nil }
            self.init(hash: parts[0].lowercased(), digest: digest)
        }

        package var attributeValue: String {
            let pairs = self.digest.map { byte in
                (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
            return "\(self.hash) \(pairs.joined(separator: ":"))"
        }
    }

    /// `a=setup:actpass`: who is the DTLS client (RFC 4145 §4, RFC 8842 §5).
    package enum Setup: String, SDPAttributeValue {
        case active, passive, actpass, holdconn

        package static let attributeName = "setup"
        package init?(attributeValue: Substring) { self.init(rawValue: attributeValue.lowercased()) }
        package var attributeValue: String { self.rawValue }
    }

    /// `a=candidate:1 1 udp 2130706431 192.0.2.1 7880 typ host` (RFC 8839 §5.1).
    package struct Candidate: SDPAttributeValue {
        package static let attributeName = "candidate"
        package var foundation: String
        package var component: UInt16
        /// In lower case.
        package var transport: String
        package var priority: UInt32
        /// An address or a name; names are never resolved.
        package var address: String
        package var port: UInt16
        package var type: String
        /// What follows the type.
        package var parameters: String

        package init(
            foundation: String,
            component: UInt16 = 1,
            transport: String = "udp",
            priority: UInt32,
            address: String,
            port: UInt16,
            type: String = "host",
            parameters: String = ""
        ) {
            self.foundation = foundation
            self.component = component
            self.transport = transport
            self.priority = priority
            self.address = address
            self.port = port
            self.type = type
            self.parameters = parameters
        }

        package init?(attributeValue: Substring) {
            let parts = attributeValue.split(at: UInt8(ascii: " "), maxSplits: 8)
            guard parts.count >= 8, parts[6] == "typ", let component = parts[1].decimal(UInt16.self),
                let priority = parts[3].decimal(UInt32.self), let port = parts[5].decimal(UInt16.self)
            else { return nil }
            self.init(
                foundation: String(parts[0]),
                component: component,
                transport: parts[2].lowercased(),
                priority: priority,
                address: String(parts[4]),
                port: port,
                type: String(parts[7]),
                parameters: parts.count == 9 ? String(parts[8]) : ""
            )
        }

        package var attributeValue: String {
            "\(self.foundation) \(self.component) \(self.transport) \(self.priority) \(self.address) \(self.port)"
                + " typ \(self.type)" + (self.parameters.isEmpty ? "" : " \(self.parameters)")
        }
    }
}
