import Basics

/// Which session a remote address belongs to: asked once for every datagram.
///
/// Open addressing with linear probing over plain integers: a look-up is one hash and, nearly always, one cache line.
/// The hash is keyed with a random number, so nobody can choose addresses that collide. Only addresses that ICE has
/// authenticated are ever entered, at most three for each session, so its size is bounded by the sessions.
struct AddressTable: ~Copyable {
    private struct Slot {
        var address: TransportAddress
        /// Session index; `empty` or `removed` otherwise.
        var session: Int32
    }

    private static let empty: Int32 = -1
    private static let removed: Int32 = -2

    private var slots: [Slot]
    private var usedCount = 0
    private var liveCount = 0
    private let key: UInt64

    init(key: UInt64) {
        self.key = key | 1
        self.slots = Self.emptySlots(64)
    }

    var count: Int { self.liveCount }

    private static func emptySlots(_ count: Int) -> [Slot] {
        Array(repeating: Slot(address: TransportAddress(high: 0, low: 0, port: 0), session: Self.empty), count: count)
    }

    private func firstIndex(_ address: TransportAddress) -> Int {
        var hash = (address.low ^ UInt64(address.port) << 48 ^ UInt64(address.scope)) &* self.key
        hash = (hash ^ hash >> 29 ^ address.high) &* self.key
        // All bits of a product depend on the low ones only: what differs in the high ones comes down in between.
        hash = (hash ^ hash >> 32) &* 0xBF58_476D_1CE4_E5B9
        hash ^= hash >> 32
        return Int(truncatingIfNeeded: hash & UInt64(self.slots.count - 1))
    }

    func session(at address: TransportAddress) -> Int? {
        var index = self.firstIndex(address)
        while true {
            let session = self.slots[index].session
            if session >= 0, self.slots[index].address == address { return Int(session) }
            if session == Self.empty { return nil }
            index = (index + 1) & (self.slots.count - 1)
        }
    }

    /// Enters an address, or moves it to another session.
    mutating func insert(_ address: TransportAddress, session: Int) {
        if (self.usedCount + 1) * 2 > self.slots.count { self.rebuild() }
        var index = self.firstIndex(address)
        var reusable: Int?
        while true {
            let held = self.slots[index].session
            if held >= 0, self.slots[index].address == address {
                self.slots[index].session = Int32(truncatingIfNeeded: session)
                return
            }
            if held == Self.removed, reusable == nil { reusable = index }
            if held == Self.empty { break }
            index = (index + 1) & (self.slots.count - 1)
        }
        if reusable == nil { self.usedCount += 1 }
        self.slots[reusable ?? index] = Slot(address: address, session: Int32(truncatingIfNeeded: session))
        self.liveCount += 1
    }

    /// Forgets an address, unless another session has taken it over meanwhile.
    mutating func remove(_ address: TransportAddress, session: Int) {
        var index = self.firstIndex(address)
        while self.slots[index].session != Self.empty {
            if self.slots[index].session == Int32(truncatingIfNeeded: session), self.slots[index].address == address {
                self.slots[index].session = Self.removed
                self.liveCount -= 1
                return
            }
            index = (index + 1) & (self.slots.count - 1)
        }
    }

    private mutating func rebuild() {
        let old = self.slots
        var capacity = 64
        while capacity < (self.liveCount + 1) * 4 { capacity *= 2 }
        self.slots = Self.emptySlots(capacity)
        self.usedCount = 0
        self.liveCount = 0
        for slot in old where slot.session >= 0 { self.insert(slot.address, session: Int(slot.session)) }
    }
}
