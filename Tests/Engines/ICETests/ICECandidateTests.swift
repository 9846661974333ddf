import Basics
import ICE
import TestSupport
import Testing

@Suite struct ICECandidateTests {
    static let lines: [(String, String)] = [
        (
            "candidate:2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998",
            "candidate:2 1 udp 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998"
        ),
        (
            "a=candidate:1 1 udp 2130706431 2001:DB8:0::1 9 typ host generation 0 ufrag abcd network-id 1",
            "candidate:1 1 udp 2130706431 2001:db8::1 9 typ host ufrag abcd"
        ),
        (
            "842163049 1 udp 1677729535 4d2bb2ff-1b2c.local 58779 typ host network-cost 999",
            "candidate:842163049 1 udp 1677729535 4d2bb2ff-1b2c.local 58779 typ host"
        ),
        (
            "candidate:1 2 TCP 1518280447 10.0.0.1 9 typ host tcptype active generation 0\r\n",
            "candidate:1 2 tcp 1518280447 10.0.0.1 9 typ host tcptype active"
        ),
        (
            "candidate:+/aZ 256 sctp 0 0.0.0.0 0 typ token raddr 0.0.0.0 rport 9 odd",
            "candidate:+/aZ 256 sctp 0 0.0.0.0 0 typ token raddr 0.0.0.0 rport 9"
        ),
    ]

    @Test(arguments: lines) func lineIsReadAndPrinted(line: String, printed: String) throws {
        let candidate = try ICECandidate(parsing: line)
        #expect(candidate.description == printed)
        #expect(try ICECandidate(parsing: candidate.description) == candidate)
    }

    @Test func namesAreKeptUnresolved() throws {
        let candidate = try ICECandidate(parsing: Self.lines[2].0)
        #expect(candidate.host == .unresolved("4d2bb2ff-1b2c.local"))
        #expect(candidate.address == nil)
    }

    static let errors: [(String, ICECandidateError)] = [
        ("", .missingField(.foundation)),
        ("candidate:", .missingField(.foundation)),
        ("candidate:a_b 1 udp 1 192.0.2.1 1 typ host", .invalidField(.foundation)),
        ("candidate:\(String(repeating: "a", count: 33)) 1 udp 1 192.0.2.1 1 typ host", .invalidField(.foundation)),
        ("candidate:1", .missingField(.component)),
        ("candidate:1 0 udp 1 192.0.2.1 1 typ host", .invalidField(.component)),
        ("candidate:1 257 udp 1 192.0.2.1 1 typ host", .invalidField(.component)),
        ("candidate:1 +1 udp 1 192.0.2.1 1 typ host", .invalidField(.component)),
        ("candidate:1 1 u\u{7F} 1 192.0.2.1 1 typ host", .invalidField(.transport)),
        ("candidate:1 1 udp 4294967296 192.0.2.1 1 typ host", .invalidField(.priority)),
        ("candidate:1 1 udp -1 192.0.2.1 1 typ host", .invalidField(.priority)),
        ("candidate:1 1 udp 1 192.0.2.1 65536 typ host", .invalidField(.port)),
        ("candidate:1 1 udp 1 192.0.2.1 port typ host", .invalidField(.port)),
        ("candidate:1 1 udp 1 h\u{E9}te 1 typ host", .invalidField(.address)),
        ("candidate:1 1 udp 1 192.0.2.1 1 type host", .invalidField(.kind)),
        ("candidate:1 1 udp 1 192.0.2.1 1 typ", .missingField(.kind)),
        ("candidate:1 1 udp 1 192.0.2.1 1 typ host raddr", .missingField(.relatedAddress)),
        ("candidate:1 1 udp 1 192.0.2.1 1 typ host rport x", .invalidField(.relatedPort)),
        ("candidate:1 1 udp 1 192.0.2.1 1 typ host tcptype x", .invalidField(.tcpType)),
        ("candidate:1 1 udp 1 192.0.2.1 1 typ host ufrag a", .invalidField(.usernameFragment)),
        (String(repeating: " ", count: 513), .tooLong(byteCount: 513)),
    ]

    @Test(arguments: errors) func malformedLineIsRefused(line: String, error: ICECandidateError) {
        #expect(throws: error) { _ = try ICECandidate(parsing: line) }
    }

    @Test func noLineTraps() {
        var random = SeededRandom(seed: 8839)
        var accepted = 0
        for round in 0..<20_000 {
            var line = Array(Self.lines[round % Self.lines.count].0.utf8)
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                let index = Int.random(in: 0..<line.count, using: &random)
                line[index] = UInt8.random(in: 0...255, using: &random)
            }
            guard let candidate = try? ICECandidate(parsing: String(decoding: line, as: UTF8.self)) else { continue }
            accepted += 1
            #expect((1...256).contains(candidate.component))
        }
        #expect(accepted > 1_000)
    }

    @Test func prioritiesAreThoseOfTheRFC() {
        #expect(ICECandidate.priority(typePreference: 126, localPreference: 65_535, component: 1) == 2_130_706_431)
        #expect(ICECandidate.priority(typePreference: 255, localPreference: 0, component: 0) == 126 << 24 | 255)
    }

    @Test func randomCredentialsAreLongEnoughAndOfICECharacters() {
        var random = SeededRandom(seed: 5)
        let characters = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var seen: Set<Character> = []
        var keys: Set<UInt64> = []
        for _ in 0..<500 {
            let credentials = ICECredentials.random(using: &random)
            #expect(credentials.usernameFragment.count == 8)
            #expect(credentials.password.value.count >= 24)
            seen.formUnion(credentials.usernameFragment)
            seen.formUnion(credentials.password.value)
            if let key = credentials.usernameFragmentKey { keys.insert(key) }
            #expect(!"\(credentials)".contains(credentials.password.value))
        }
        #expect(seen == characters)
        #expect(keys.count == 500)
        #expect(serverCredentials.usernameFragmentKey == 0x5352_5652_6672_6167)
        #expect(clientCredentials.usernameFragmentKey == nil)
    }
}
