import Basics
import TestSupport
import Testing

@testable import MediaPlane

@Suite struct AddressTableTests {
    @Test func `the table agrees with a dictionary over random insertions, moves and removals`() {
        let seed: UInt64 = 71
        var random = SeededRandom(seed: seed)
        var table = AddressTable(key: random.next())
        var model: [TransportAddress: Int] = [:]
        for step in 0..<30_000 {
            let address = TransportAddress(
                ipv4: 0x0A00_0000 + UInt32.random(in: 0..<300, using: &random),
                port: UInt16.random(in: 1...4, using: &random)
            )
            let session = Int.random(in: 0..<50, using: &random)
            if random.chance(0.6) {
                table.insert(address, session: session)
                model[address] = session
            } else {
                // Only the owner can remove: another session may have taken the address over.
                table.remove(address, session: session)
                if model[address] == session { model[address] = nil }
            }
            let found = table.session(at: address)
            #expect(found == model[address], "seed \(seed), step \(step)")
        }
        let count = table.count
        #expect(count == model.count)
        for (address, session) in model {
            let found = table.session(at: address)
            #expect(found == session)
        }
    }

    @Test func `addresses that differ only in port, family or scope are told apart`() {
        var table = AddressTable(key: 5)
        let addresses = [
            TransportAddress(ipv4: 0x7F00_0001, port: 1), TransportAddress(ipv4: 0x7F00_0001, port: 2),
            TransportAddress(high: 0, low: 1, port: 1), TransportAddress(high: 0xFE80 << 48, low: 1, port: 1),
            TransportAddress(high: 0xFE80 << 48, low: 1, port: 1, scope: 2),
        ]
        for (index, address) in addresses.enumerated() { table.insert(address, session: index) }
        for (index, address) in addresses.enumerated() {
            let found = table.session(at: address)
            #expect(found == index)
        }
    }
}
