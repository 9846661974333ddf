extension SDPAttribute {
    /// `a=ssrc:1234 cname:abc` (RFC 5576 §4.1).
    package struct SourceAttribute: SDPAttributeValue {
        package static let attributeName = "ssrc"
        package var ssrc: UInt32
        /// Empty when the line says only that the source exists.
        package var name: String
        package var value: String?

        package init(ssrc: UInt32, name: String, value: String?) {
            self.ssrc = ssrc
            self.name = name
            self.value = value
        }

        package init?(attributeValue: Substring) {
            let parts = attributeValue.split(at: UInt8(ascii: " "), maxSplits: 1)
            guard let ssrc = parts.first?.decimal(UInt32.self) else { return nil }
            self.ssrc = ssrc
            let rest = parts.count == 2 ? parts[1] : ""
            if let (name, value) = rest.cut(at: UInt8(ascii: ":")) {
                self.name = String(name)
                self.value = String(value)
            } else {
                self.name = String(rest)
                self.value = nil
            }
        }

        package var attributeValue: String {
            "\(self.ssrc)" + (self.name.isEmpty ? "" : " \(self.name)") + (self.value.map { ":\($0)" } ?? "")
        }
    }

    /// `a=ssrc-group:FID 1 2` (RFC 5576 §4.2).
    package struct SourceGroup: SDPAttributeValue {
        package static let attributeName = "ssrc-group"
        package var semantics: String
        package var ssrcs: [UInt32]

        package init(semantics: String, ssrcs: [UInt32]) {
            self.semantics = semantics
            self.ssrcs = ssrcs
        }

        package init?(attributeValue: Substring) {
            let parts = attributeValue.split(at: UInt8(ascii: " "))
            guard let semantics = parts.first else { return nil }
            var ssrcs: [UInt32] = []
            for part in parts.dropFirst() {
                guard let ssrc = part.decimal(UInt32.self) else { return nil }
                ssrcs.append(ssrc)
            }
            self.init(semantics: String(semantics), ssrcs: ssrcs)
        }

        package var attributeValue: String {
            self.semantics + self.ssrcs.reduce(into: "") { $0 += " \($1)" }
        }
    }

    /// `a=group:BUNDLE 0 1` (RFC 5888 §5).
    package struct MediaGroup: SDPAttributeValue {
        package static let attributeName = "group"
        package var semantics: String
        package var mids: [String]

        package init(semantics: String, mids: [String]) {
            self.semantics = semantics
            self.mids = mids
        }

        package init?(attributeValue: Substring) {
            let parts = attributeValue.split(at: UInt8(ascii: " "))
            guard let semantics = parts.first, semantics.isToken else { return nil }
            self.init(semantics: String(semantics), mids: parts.dropFirst().map { String($0) })
        }

        package var attributeValue: String { ([self.semantics] + self.mids).joined(separator: " ") }
    }
}
