/// Memory for datagrams that wait on links: as much as ever waited at once, taken in pieces and kept.
@safe
final class DatagramStore {
    static let slotByteCount = 1_536
    private static let slotsPerPiece = 256
    /// 192 MB; datagrams beyond that are dropped.
    private static let largestPieceCount = 512

    private var pieces: [UnsafeMutableRawPointer] = unsafe []
    private var free: [Int32] = []

    deinit {
        for index in unsafe self.pieces.indices { unsafe self.pieces[index].deallocate() }
    }

    /// A slot to fill; `nil` when too much waits.
    func take() -> Int32? {
        if let slot = self.free.popLast() { return slot }
        guard unsafe self.pieces.count < Self.largestPieceCount else { return nil }
        let first = unsafe self.pieces.count * Self.slotsPerPiece
        unsafe self.pieces.append(
            UnsafeMutableRawPointer.allocate(byteCount: Self.slotByteCount * Self.slotsPerPiece, alignment: 16)
        )
        self.free.reserveCapacity(first + Self.slotsPerPiece)
        for slot in stride(from: first + Self.slotsPerPiece - 1, to: first, by: -1) { self.free.append(Int32(slot)) }
        return Int32(first)
    }

    func give(_ slot: Int32) { self.free.append(slot) }

    func bytes(_ slot: Int32, count: Int) -> UnsafeMutableRawBufferPointer {
        let (piece, place) = Int(slot).quotientAndRemainder(dividingBy: Self.slotsPerPiece)
        return unsafe UnsafeMutableRawBufferPointer(
            start: self.pieces[piece] + place * Self.slotByteCount,
            count: min(count, Self.slotByteCount)
        )
    }
}
