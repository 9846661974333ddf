import Basics
import ICE
import STUN
import TestSupport
import Testing

@Suite struct ICEAgentTests {
    @Test(arguments: [0, 0.1, 0.2, 0.3, 0.4], [false, true])
    func agentsFindEachOtherOverALossyNetwork(loss: Double, isAggressive: Bool) {
        for seed in UInt64(1)...40 {
            var configuration = ICEAgent.Configuration()
            configuration.nominatesAggressively = isAggressive
            var network = VirtualNetwork(seed: seed, configuration: configuration)
            network.conditions = .init(loss: loss, duplication: 0.2, delay: 1...200)
            network.start()
            let isDone = network.run(for: .seconds(20)) { $0.client.selected != nil }
            #expect(isDone, "seed \(seed) loss \(loss)")
            #expect(network.client.selected == ICEPath(local: alice, remote: bob), "seed \(seed)")
            #expect(network.server.selected == alice, "seed \(seed)")
            #expect(network.server.rejections.total == 0, "seed \(seed)")
        }
    }

    @Test func withoutLossTheMediaPathIsThereAfterTwoRoundTripsAndAPause() throws {
        var network = VirtualNetwork(seed: 1)
        network.conditions.delay = 10...10
        network.start()
        #expect(network.run(for: .seconds(1)) { $0.client.selected != nil })
        let path = ICEPath(local: alice, remote: bob)
        #expect(network.clientEvents.map(\.1) == [.validated(path), .selected(path)])
        #expect(network.clientEvents[0].0 == epoch + .milliseconds(20))
        #expect(network.clientEvents[1].0 == epoch + .milliseconds(70))
        #expect(network.serverEvents == [.selected(alice)])
    }

    @Test func bestWorkingPairIsNominatedAndDeadOnesAreNotWaitedFor() {
        let servers = [dave, bob, address("192.0.2.9"), carol]
        var network = VirtualNetwork(seed: 3, locals: [alice, address("2001:db8::1")], servers: servers)
        network.deadAddresses = [dave]
        network.start()
        #expect(network.run(for: .seconds(3)) { $0.client.selected != nil })
        #expect(network.client.selected?.remote == bob)
        #expect(network.now - epoch < .seconds(1))
    }

    @Test func checksArePacedAndNeverGoAnywhereElse() {
        let servers = (1...30).map { address("198.51.100.\($0)") }
        var network = VirtualNetwork(seed: 4, servers: servers)
        network.deadAddresses = Set(servers)
        network.start()
        #expect(!network.run(for: .seconds(40)) { $0.client.selected != nil })
        for (earlier, later) in zip(network.checks, network.checks.dropFirst()) {
            #expect(later.at - earlier.at >= .milliseconds(50))
        }
        // 20 remote candidates at most (ATTACKS A-40), in the order of their priorities.
        #expect(Set(network.checks.map(\.to)) == Set(servers.prefix(20)))
        #expect(network.checks.first?.to == servers[0])
        #expect(network.clientEvents.map(\.1) == [.failed])
        #expect(network.clientEvents.map(\.0) == [epoch + .seconds(30)])
    }

    @Test func candidatesThatCannotBeCheckedAreIgnored() throws {
        var network = VirtualNetwork(seed: 5, servers: [])
        for line in [
            "1 1 udp 1 host.local 5000 typ host", "1 1 tcp 1 192.0.2.2 5000 typ host tcptype passive",
            "1 2 udp 1 192.0.2.2 5000 typ host", "1 1 udp 1 0.0.0.0 5000 typ host", "1 1 udp 1 192.0.2.2 0 typ host",
            "1 1 udp 1 2001:db8::2 5000 typ host",
        ] { network.client.add(try ICECandidate(parsing: line)) }
        network.start()
        _ = network.run(for: .seconds(5))
        #expect(network.checks.isEmpty)
    }

    @Test func candidateThatTricklesInLaterIsUsed() {
        var network = VirtualNetwork(seed: 6)
        network.deadAddresses = [bob]
        network.start()
        _ = network.run(for: .seconds(2))
        network.deadAddresses = []
        #expect(network.run(for: .seconds(5)) { $0.client.selected != nil })
    }

    // MARK: consent (RFC 7675 §5.1)

    @Test func consentChecksAreFourToSixSecondsApartWithNewTransactions() {
        var network = VirtualNetwork(seed: 7)
        network.start()
        _ = network.run(for: .seconds(1)) { $0.client.selected != nil }
        let selectedAt = network.now
        _ = network.run(for: .seconds(3_600))
        #expect(network.client.selected != nil)
        let times = [selectedAt] + network.checks.map(\.at).filter { $0 > selectedAt }
        #expect((600...900).contains(times.count))
        for (earlier, later) in zip(times, times.dropFirst()) {
            #expect(later - earlier >= .seconds(4) && later - earlier <= .seconds(6))
        }
        #expect(network.server.selected == alice)
    }

    @Test func silenceEndsConsentThirtySecondsAfterTheLastAnswer() throws {
        var network = VirtualNetwork(seed: 8)
        network.start()
        _ = network.run(for: .seconds(60))
        network.conditions.loss = 1
        _ = network.run(for: .seconds(1))  // what was on its way arrives
        let deadline = try #require(network.client.consentDeadline)
        _ = network.run(for: .seconds(40))
        let last = try #require(network.clientEvents.last)
        #expect(last.1 == .consentExpired(ICEPath(local: alice, remote: bob)))
        #expect(last.0 == deadline)
        #expect(network.client.selected == nil)
        #expect(network.server.selected == nil && network.server.isConsentExpired)
        let sent = network.checks.count
        network.conditions.loss = 0
        _ = network.run(for: .seconds(60))
        #expect(network.checks.count == sent, "an expired agent stays silent")
    }

    @Test func consentSurvivesOrdinaryLoss() {
        for seed in UInt64(1)...10 {
            var network = VirtualNetwork(seed: seed)
            network.start()
            _ = network.run(for: .seconds(5))
            network.conditions = .init(loss: 0.1, duplication: 0.3, delay: 1...300)
            _ = network.run(for: .seconds(600))
            #expect(network.client.selected != nil, "seed \(seed)")
        }
    }

    @Test func aNewAddressOfTheNATIsFollowedWithinTwoConsentChecks() {
        for seed in UInt64(1)...10 {
            var network = VirtualNetwork(seed: seed)
            network.start()
            _ = network.run(for: .seconds(20))
            #expect(network.server.selected == alice)
            network.mappings[alice] = dave
            let isFollowed = network.run(for: .seconds(13)) { $0.server.selected == dave }
            #expect(isFollowed, "seed \(seed)")
            _ = network.run(for: .seconds(120))
            #expect(network.client.selected == ICEPath(local: alice, remote: bob), "seed \(seed)")
            #expect(network.server.selected == dave, "seed \(seed)")
        }
    }

    // MARK: restart

    @Test func restartMovesToTheNewGenerationWithoutAGap() {
        for seed in UInt64(1)...20 {
            var network = VirtualNetwork(seed: seed)
            network.conditions = .init(loss: 0.2, duplication: 0.1, delay: 1...100)
            network.start()
            _ = network.run(for: .seconds(20)) { $0.client.selected != nil }
            let old = network.client.selected
            network.client.restart(
                local: newClientCredentials,
                remote: newServerCredentials,
                locals: [dave],
                candidates: [ICECandidate(host: bob)],
                at: network.now
            )
            #expect(network.client.selected == old, "seed \(seed)")
            // The server learns of it a second later: checks that come before get 401 and are repeated.
            _ = network.run(for: .seconds(1))
            #expect(network.server.selected == alice, "seed \(seed)")
            network.server.restart(local: newServerCredentials, remote: newClientCredentials)
            let isDone = network.run(for: .seconds(20)) { $0.client.selected?.local == dave }
            #expect(isDone, "seed \(seed)")
            #expect(network.server.selected == dave, "seed \(seed)")
            #expect(network.server.usernameFragmentKeys.count == 1, "seed \(seed)")
            #expect(!network.clientEvents.contains { if case .consentExpired = $0.1 { true } else { false } })
        }
    }

    // MARK: what others send

    /// The client's side of one exchange, by hand.
    private func startedAgent() -> (ICEAgent, [UInt8], SeededRandom) {
        var random = SeededRandom(seed: 9)
        var agent = ICEAgent(local: clientCredentials, remote: serverCredentials, locals: [alice], using: &random)
        agent.add(ICECandidate(host: bob))
        agent.start(at: epoch)
        agent.handleTimeout(at: epoch, using: &random)
        guard case .transmit(let request, alice, bob) = agent.nextOutput() else { return (agent, [], random) }
        return (agent, request, random)
    }

    @Test func checkCarriesWhatTheRFCAsksFor() throws {
        let (_, request, _) = self.startedAgent()
        let view = try STUNMessageView(request.span.bytes)
        #expect(view.messageClass == .request)
        #expect(view.username == "SRVRfrag:cli1")
        #expect(view.iceControlling != nil && view.iceControlled == nil)
        #expect(view.priority == ICECandidate.priority(typePreference: 110, localPreference: 65_535, component: 1))
        #expect(view.useCandidate == false)
        #expect(view.verifyIntegrity(key: serverCredentials.password.value.utf8) == true)
        #expect(view.fingerprintIsValid == true)
    }

    @Test func onlyTheRightAnswerFromTheRightPlaceCounts() throws {
        let (agent, request, random) = self.startedAgent()
        let id = try STUNMessageView(request.span.bytes).transactionID
        func response(_ id: STUNTransactionID, key: String?, fingerprint: Bool = true, mapped: Bool = true) -> [UInt8] {
            var builder = STUNMessageBuilder(.success, transactionID: id)
            if mapped { builder.addXORMappedAddress(alice) }
            return builder.finish(key: key.map { STUNIntegrityKey($0.utf8) }, fingerprint: fingerprint)
        }
        let password = serverCredentials.password.value
        let other = STUNTransactionID(high: id.high, low: id.low &+ 1)
        let cases: [(String, [UInt8], TransportAddress, TransportAddress, Bool)] = [
            ("right", response(id, key: password), bob, alice, true),
            ("another transaction", response(other, key: password), bob, alice, false),
            ("another source", response(id, key: password), dave, alice, false),
            ("another socket", response(id, key: password), bob, dave, false),
            ("the wrong key", response(id, key: clientCredentials.password.value), bob, alice, false),
            ("no integrity", response(id, key: nil), bob, alice, false),
            ("no FINGERPRINT", response(id, key: password, fingerprint: false), bob, alice, false),
            ("no address", response(id, key: password, mapped: false), bob, alice, false),
        ]
        for (name, datagram, source, local, counts) in cases {
            var copy = agent
            var copyRandom = random
            copy.handle(datagram.span.bytes, from: source, to: local, at: epoch, using: &copyRandom)
            let isValidated = copy.nextOutput() == .event(.validated(ICEPath(local: alice, remote: bob)))
            #expect(isValidated == counts, "\(name)")
        }
    }

    static let requests: [(String, Answer, @Sendable (inout Check) -> Void)] = [
        ("right", .success, { _ in }),
        ("our role", .error(487, signed: true), { $0.controlling = 0 }),
        ("a wrong password", .error(401), { $0.password = "x" }),
        ("a wrong name", .error(401), { $0.username = "cli1:other" }),
        ("no name", .error(400), { $0.username = nil }),
        ("an unknown attribute", .error(420, signed: true), { $0.unknown = [0x7FFF] }),
    ]

    @Test func requestsAreAnsweredAndNeverSelect() {
        for (name, answer, change) in Self.requests {
            var (agent, _, random) = self.startedAgent()
            let password = clientCredentials.password.value
            var check = Check(
                username: "cli1:SRVRfrag",
                password: password,
                nominates: true,
                controlled: 1,
                controlling: nil
            )
            change(&check)
            agent.handle(check.datagram.span.bytes, from: bob, to: alice, at: epoch, using: &random)
            guard case .transmit(let response, alice, bob) = agent.nextOutput() else {
                Issue.record("\(name): no answer")
                continue
            }
            #expect(Answer(response, password: password) == answer, "\(name)")
            #expect(agent.selected == nil)
        }
    }
}
