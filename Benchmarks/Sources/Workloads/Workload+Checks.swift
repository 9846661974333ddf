import Basics
import ICE
import MediaPlane
import Negotiation
import RouterHarness
import STUN

extension Workload {
    /// Connectivity checks: what an honest client costs, and what a flood of others does (ATTACKS A-44).
    static func checks() -> [Workload] {
        guard let target = CheckTarget() else { return [] }
        let good = CheckTarget.datagram(password: RouterHarness.serverPassword)
        let stranger = CheckTarget.datagram(usernameFragment: "unknown8", password: RouterHarness.serverPassword)
        let forged = CheckTarget.datagram(password: "another password of 24 c")
        var damaged = good
        damaged[4] ^= 1
        return [
            // As far apart as they are all answered.
            Workload("STUN check, answered", allocates: true, repetitions: 1_000) {
                target.run($0, good, every: .milliseconds(11))
            },
            Workload("STUN flood, right MAC", allocates: true, repetitions: 1_000) { target.run($0, good) },
            Workload("STUN flood, no STUN at all") { target.run($0, damaged) },
            Workload("STUN flood, unknown username") { target.run($0, stranger) },
            Workload("STUN flood, right username, forged MAC", allocates: true, repetitions: 1_000) {
                target.run($0, forged)
            },
        ]
    }

    /// A router with a thousand sessions, one of which is the target.
    private final class CheckTarget {
        private var harness: RouterHarness
        private let buffer = Buffer(1_536)

        static func datagram(usernameFragment: String? = nil, password: String) -> [UInt8] {
            let local = usernameFragment ?? RouterHarness.usernameFragment(SessionID(500))
            var builder = STUNMessageBuilder(.request, transactionID: STUNTransactionID(high: 1, low: 2))
            builder.addUsername("\(local):cli1".utf8)
            builder.addICEControlling(tieBreaker: 1)
            builder.addPriority(1_000)
            return builder.finish(key: STUNIntegrityKey(password.utf8))
        }

        init?() {
            guard var harness = RouterHarness() else { return nil }
            for id in 1...1_000 as ClosedRange<UInt64> {
                guard harness.addClient(SessionID(id), sections: [.audio("0", .receive, ssrc: 1_000)]) != nil else {
                    return nil
                }
            }
            harness.outbox.keepsDatagrams = false
            self.harness = harness
        }

        func run(_ count: Int, _ datagram: [UInt8], every interval: Nanoseconds = .zero) {
            let source = TransportAddress(ipv4: 0xCB00_7101, port: 1_234)
            let bytes = UnsafeMutableRawBufferPointer(rebasing: self.buffer.bytes[0..<datagram.count])
            bytes.copyBytes(from: datagram)
            for _ in 0..<count {
                self.harness.now = self.harness.now + interval
                self.harness.router.receive(bytes, from: source, socket: 0, at: self.harness.now)
                self.harness.router.flush()
            }
        }
    }
}
