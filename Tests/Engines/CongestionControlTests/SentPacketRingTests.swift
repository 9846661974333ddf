import Basics
import CongestionControl
import TestSupport
import Testing

@Suite struct SentPacketRingTests {
    @Test func `a packet is found by its own number, with what was said of it`() {
        var ring = SentPacketRing(capacity: 4)
        ring.note(SequenceNumber(65_535), order: 70_000, isMarked: true)
        ring.note(SequenceNumber(0), order: 70_003, isMarked: false)
        var packet = ring.packet(SequenceNumber(65_535), latest: 70_003)
        #expect(packet?.transportSequence == SequenceNumber(UInt16(truncatingIfNeeded: 70_000)))
        #expect(packet?.isMarked == true && packet?.isNews == true && packet?.wasLost == false)
        ring.noteReport(SequenceNumber(65_535), isReceived: false)
        packet = ring.packet(SequenceNumber(65_535), latest: 70_003)
        #expect(packet?.isNews == true && packet?.wasLost == true)
        ring.noteReport(SequenceNumber(65_535), isReceived: true)
        packet = ring.packet(SequenceNumber(65_535), latest: 70_003)
        #expect(packet?.isNews == false)
        #expect(ring.packet(SequenceNumber(0), latest: 70_003)?.isMarked == false)
    }

    @Test func `what was never sent, was overwritten, or is too long ago is not found`() {
        var ring = SentPacketRing(capacity: 4)
        #expect(ring.packet(SequenceNumber(0), latest: 0) == nil)
        for number in 0..<6 { ring.note(SequenceNumber(UInt16(number)), order: UInt32(number), isMarked: false) }
        let found = (0..<10).map { ring.packet(SequenceNumber(UInt16($0)), latest: 5) != nil }
        #expect(found == [false, false, true, true, true, true, false, false, false, false])
        #expect(ring.packet(SequenceNumber(5), latest: 5 + 8_191) != nil)
        #expect(ring.packet(SequenceNumber(5), latest: 5 + 8_192) == nil)
        // Across the end of the orders.
        ring.note(SequenceNumber(9), order: .max, isMarked: false)
        #expect(ring.packet(SequenceNumber(9), latest: 3)?.transportSequence == SequenceNumber(65_535))
    }

    @Test func `a ring without room knows nothing and takes nothing`() {
        var ring = SentPacketRing(capacity: 0)
        ring.note(SequenceNumber(1), order: 1, isMarked: true)
        ring.noteReport(SequenceNumber(1), isReceived: true)
        #expect(ring.packet(SequenceNumber(1), latest: 1) == nil)
    }

    @Test(arguments: [UInt64(1), 2, 3]) func `of any row of numbers it knows the last ones`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var ring = SentPacketRing(capacity: 64)
        var number = UInt16.random(in: 0 ... .max, using: &random)
        var order = UInt32.random(in: 0 ... .max, using: &random)
        var sent: [(number: UInt16, order: UInt32)] = []
        for _ in 0..<1_000 {
            number &+= 1
            // Packets of other SSRCs leave in between.
            order &+= UInt32.random(in: 1...40, using: &random)
            ring.note(SequenceNumber(number), order: order, isMarked: false)
            sent.append((number, order))
            for packet in sent.suffix(64) {
                let found = ring.packet(SequenceNumber(packet.number), latest: order)?.transportSequence.value
                #expect(found == UInt16(truncatingIfNeeded: packet.order), "seed \(seed)")
            }
        }
    }
}
