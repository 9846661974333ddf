import Basics

/// A peer's way to the server while the scenario makes it a bad one.
final class PeerLink {
    private let store: DatagramStore
    private var up: LinkModel
    private var down: LinkModel
    private var toServer = DelayLine()
    private var fromServer = DelayLine()

    init(_ pair: LinkPair, seed: UInt64, store: DatagramStore) {
        self.store = store
        self.up = LinkModel(pair.up, seed: seed)
        self.down = LinkModel(pair.down, seed: ~seed)
    }

    deinit {
        while let entry = self.toServer.takeFirst() { self.store.give(entry.slot) }
        while let entry = self.fromServer.takeFirst() { self.store.give(entry.slot) }
    }

    var nextArrival: Instant { min(self.toServer.nextArrival, self.fromServer.nextArrival) }

    /// When a datagram of that size would leave the link for the server; `nil` = it is lost.
    func admitToServer(byteCount: Int, at now: Instant) -> Instant? { self.up.admit(byteCount: byteCount, at: now) }

    /// Holds a datagram that was admitted.
    func holdToServer(
        _ datagram: UnsafeRawBufferPointer,
        to address: TransportAddress,
        until arrival: Instant,
        at now: Instant
    ) {
        unsafe self.hold(datagram, address, arrival: arrival, now: now, in: &self.toServer)
    }

    /// Takes a datagram from the server, to be handed out later or never.
    func admitFromServer(_ datagram: UnsafeRawBufferPointer, from address: TransportAddress, at now: Instant) {
        guard let arrival = self.down.admit(byteCount: datagram.count, at: now) else { return }
        unsafe self.hold(datagram, address, arrival: arrival, now: now, in: &self.fromServer)
    }

    private func hold(
        _ datagram: UnsafeRawBufferPointer,
        _ address: TransportAddress,
        arrival: Instant,
        now: Instant,
        in line: inout DelayLine
    ) {
        guard datagram.count <= DatagramStore.slotByteCount, let slot = self.store.take() else { return }
        unsafe self.store.bytes(slot, count: datagram.count).copyMemory(from: datagram)
        line.append(
            DelayLine.Entry(
                arrival: arrival,
                entry: now,
                address: address,
                slot: slot,
                length: Int32(truncatingIfNeeded: datagram.count)
            )
        )
    }

    func takeForServer(at now: Instant) -> DelayLine.Entry? { self.toServer.takeArrived(at: now) }
    func takeFromServer(at now: Instant) -> DelayLine.Entry? { self.fromServer.takeArrived(at: now) }
    func bytes(of entry: DelayLine.Entry) -> UnsafeMutableRawBufferPointer {
        unsafe self.store.bytes(entry.slot, count: Int(entry.length))
    }
    func release(_ entry: DelayLine.Entry) { self.store.give(entry.slot) }
}
