/// A session description (RFC 8866): ordered lines with typed access to those that WebRTC uses.
///
/// Unknown attributes and fields are kept as they are and where they are, so a well-formed text survives
/// `SessionDescription(parsing:)` and `description` unchanged, apart from its line endings.
package struct SessionDescription: SDPAttributeHolder, Sendable, Equatable {
    package var origin: Origin
    package var name: String
    /// The lines between `s=` and the first `a=`: `t=`, `c=`, `b=` and their like.
    package var fields: [SDPField]
    package var attributes: [SDPAttribute]
    package var media: [MediaDescription]

    package init(
        origin: Origin,
        name: String = "-",
        fields: [SDPField] = [SDPField("t", "0 0")],
        attributes: [SDPAttribute] = [],
        media: [MediaDescription] = []
    ) {
        self.origin = origin
        self.name = name
        self.fields = fields
        self.attributes = attributes
        self.media = media
    }

    /// The value of the first `t=` line (RFC 8866 §5.9).
    package var timing: String? { self.fields.first { $0.letter == "t" }?.value }
}

/// One m-line and what belongs to it (RFC 8866 §5.14).
package struct MediaDescription: SDPAttributeHolder, Sendable, Equatable {
    /// `audio`, `video`, `application` or anything else that the peer wrote.
    package var media: String
    package var port: UInt16
    /// The `/count` after the port; `nil` when there is none.
    package var portCount: UInt16?
    package var transport: String
    /// Payload types for RTP, other names for other transports.
    package var formats: [String]
    package var fields: [SDPField]
    package var attributes: [SDPAttribute]

    package init(
        media: String,
        port: UInt16,
        portCount: UInt16? = nil,
        transport: String,
        formats: [String],
        fields: [SDPField] = [SDPField("c", "IN IP4 0.0.0.0")],
        attributes: [SDPAttribute] = []
    ) {
        self.media = media
        self.port = port
        self.portCount = portCount
        self.transport = transport
        self.formats = formats
        self.fields = fields
        self.attributes = attributes
    }

    /// `formats` of an RTP m-line, in the order of preference.
    package var payloadTypes: [UInt8] { self.formats.compactMap { Substring($0).decimal(UInt8.self, upTo: 127) } }
}

/// Who made a description, and which version of it this is (RFC 8866 §5.2).
package struct Origin: Sendable, Equatable {
    package var username: String
    /// Decimal digits. Kept as text: nothing here needs its value, and RFC 8866 sets no limit.
    package var sessionID: String
    package var version: String
    /// `IN IP4 0.0.0.0`.
    package var address: String

    package init(username: String = "-", sessionID: String, version: String, address: String = "IN IP4 127.0.0.1") {
        self.username = username
        self.sessionID = sessionID
        self.version = version
        self.address = address
    }

    init?(parsing value: Substring) {
        let parts = value.split(at: UInt8(ascii: " "), maxSplits: 3)
        guard parts.count == 4, parts[1].isDecimal, parts[2].isDecimal else { return nil }
        self.init(
            username: String(parts[0]),
            sessionID: String(parts[1]),
            version: String(parts[2]),
            address: String(parts[3])
        )
    }
}

/// A line other than `a=` and `m=`.
package struct SDPField: Sendable, Equatable {
    package var letter: Character
    package var value: String

    package init(_ letter: Character, _ value: String) {
        self.letter = letter
        self.value = value
    }
}

/// An `a=` line: `a=name` or `a=name:value` (RFC 8866 §5.13).
package struct SDPAttribute: Sendable, Hashable {
    package var name: String
    /// `nil` for a flag such as `a=rtcp-mux`.
    package var value: String?

    package init(_ name: String, _ value: String? = nil) {
        self.name = name
        self.value = value
    }

    package init<Value: SDPAttributeValue>(_ value: Value) { self.init(Value.attributeName, value.attributeValue) }
}

extension SessionDescription: CustomStringConvertible {
    /// The text, every line ended by CRLF.
    package var description: String {
        var text = "v=0\r\n"
        let origin = self.origin
        text += "o=\(origin.username) \(origin.sessionID) \(origin.version) \(origin.address)\r\ns=\(self.name)\r\n"
        for field in self.fields { text += "\(field.letter)=\(field.value)\r\n" }
        for attribute in self.attributes { attribute.write(to: &text) }
        for section in self.media { section.write(to: &text) }
        return text
    }
}

extension MediaDescription {
    package func write(to text: inout String) {
        text += "m=\(self.media) \(self.port)"
        if let count = self.portCount { text += "/\(count)" }
        text += " \(self.transport)"
        for format in self.formats { text += " \(format)" }
        text += "\r\n"
        for field in self.fields { text += "\(field.letter)=\(field.value)\r\n" }
        for attribute in self.attributes { attribute.write(to: &text) }
    }
}

extension SDPAttribute {
    package func write(to text: inout String) {
        text += "a="
        text += self.name
        if let value = self.value {
            text += ":"
            text += value
        }
        text += "\r\n"
    }
}
