import Basics
import FuzzEntry
import Rooms

/// The texts of signalling: JSON, a client's frames, token claims, and the encodings of tokens and URLs.
@main
enum FuzzSignalling {
    static func main() {
        fuzz { bytes, count in
            var input = FuzzInput(bytes, count)
            let bytes = Array(input.takeAll())
            FuzzSignalling.checkJSON(bytes)
            FuzzSignalling.checkFrame(bytes)
            FuzzSignalling.checkEncodings(String(decoding: bytes.prefix(1_024), as: UTF8.self))
            return 0
        }
    }

    private static func checkJSON(_ bytes: [UInt8]) {
        guard let value = try? JSONValue(parsing: bytes) else { return }
        require(String(validating: bytes, as: UTF8.self) != nil, "only UTF-8 is taken")
        do {
            require(
                try JSONValue(parsing: value.bytes, limits: .init(bytes: .max)) == value,
                "a printed value is the same"
            )
        } catch {
            fatalError("a printed value does not parse: \(error)")
        }
        _ = (value.integerValue, value.numberValue, value["type"]?.stringValue)
        if let claims = try? TokenClaims(value) {
            require(claims.expiresAt >= 0 && (1...128).contains(claims.room.utf8.count), "claims are in their ranges")
            _ = claims.allows(room: "room")
        }
    }

    private static func checkFrame(_ bytes: [UInt8]) {
        let frame = ClientFrame(parsing: bytes, limits: .init())
        switch frame.message {
        case .failure(let error):
            require(error.code == .badMessage, "what is not understood is a bad message")
            require(error.message.utf8.count <= 512, "an error does not repeat what was sent")
        case .success(let message):
            require(message.name.utf8.count <= 16, "a name is fit for a label")
            if case .publish(let intents) = message { require(intents.count <= 256, "intents are bounded") }
            if case .join(let join) = message { require(RoomID.isValidName(join.roomID), "rooms have proper names") }
        }
    }

    private static func checkEncodings(_ text: String) {
        if let decoded = PercentEncoding.decode(text) {
            require(decoded.utf8.count <= text.utf8.count, "decoding never lengthens")
        }
        if let decoded = Base64URL.decode(Substring(text)) {
            require(decoded.count == text.utf8.count * 3 / 4, "three bytes of four characters")
        }
    }
}
