package import Basics

extension RoomID {
    /// The rule for names of rooms, in signalling and in URLs: 1 to 128 bytes, no control characters.
    package static func isValidName(_ name: String) -> Bool {
        1...128 ~= name.utf8.count && !name.unicodeScalars.contains { $0.value < 0x20 || 0x7F...0x9F ~= $0.value }
    }
}
