import Basics
import ICE
import STUN
import TestSupport
import Testing

@Suite struct ICELiteAgentTests {
    @Test func firstCheckSelectsForTheTimeBeingAndNominationSwitches() throws {
        var agent = ICELiteAgent.make()
        let first = agent.take(Check(), from: alice)
        #expect(first.event == .selected(alice))
        #expect(Answer(first.response) == .success)
        let response = try #require(first.response)
        #expect(try STUNMessageView(response.span.bytes).xorMappedAddress == alice)
        #expect(try STUNMessageView(response.span.bytes).transactionID == Check().id)
        #expect(agent.take(Check(), from: carol).event == .validated(carol))
        #expect(agent.take(Check(), from: carol).event == .none)
        #expect(agent.selected == alice)
        #expect(agent.take(Check().nominating(), from: carol).event == .selected(carol))
        #expect(agent.selected == carol)
        #expect(agent.take(Check(), from: alice).event == .none)
        #expect(agent.selected == carol)
        #expect(agent.isValidated(alice) && agent.isValidated(carol) && !agent.isValidated(bob))
        #expect(agent.rejections.total == 0)
    }

    @Test func answersWithTheAlgorithmOfTheRequest() throws {
        var agent = ICELiteAgent.make()
        var check = Check()
        check.algorithm = .sha256
        let response = try #require(agent.take(check, from: alice).response)
        #expect(try STUNMessageView(response.span.bytes).integrityAlgorithm == .sha256)
        #expect(Answer(response) == .success)
    }

    // MARK: forgeries (CONFORMANCE I-03, ATTACKS A-41)

    struct Forgery: Sendable, CustomTestStringConvertible {
        let name: String
        let datagram: [UInt8]
        let answer: Answer?
        let reason: ICERejection
        var testDescription: String { self.name }

        init(_ name: String, _ answer: Answer?, _ reason: ICERejection, _ change: (inout Check) -> Void) {
            var check = Check().nominating(.max)
            change(&check)
            self.init(name, answer, reason, bytes: check.datagram)
        }

        init(_ name: String, _ answer: Answer?, _ reason: ICERejection, bytes: [UInt8]) {
            self.name = name
            self.datagram = bytes
            self.answer = answer
            self.reason = reason
        }
    }

    static let forgeries: [Forgery] = [
        Forgery("no integrity", .error(400), .missingCredentials) { $0.password = nil },
        Forgery("no USERNAME", .error(400), .missingCredentials) { $0.username = nil },
        Forgery("neither", .error(400), .missingCredentials) {
            $0.username = nil
            $0.password = nil
        },
        Forgery("a wrong password", .error(401), .badIntegrity) { $0.password = "x" },
        Forgery("the client's own password", .error(401), .badIntegrity) {
            $0.password = clientCredentials.password.value
        },
        Forgery("a wrong password under SHA-256", .error(401), .badIntegrity) {
            $0.password = "x"
            $0.algorithm = .sha256
        },
        Forgery("another session's fragment", .error(401), .unknownUsername) { $0.username = "SRVRfraX:cli1" },
        Forgery("another session's credentials", .error(401), .unknownUsername) {
            $0.username = "SRVRnew2:cli2"
            $0.password = newServerCredentials.password.value
        },
        Forgery("another peer's fragment", .error(401), .unknownUsername) { $0.username = "SRVRfrag:eve1" },
        Forgery("no peer's fragment", .error(401), .unknownUsername) { $0.username = "SRVRfrag:" },
        Forgery("no colon", .error(401), .unknownUsername) { $0.username = "SRVRfrag" },
        Forgery("the fragments swapped", .error(401), .unknownUsername) { $0.username = "cli1:SRVRfrag" },
        Forgery("no FINGERPRINT", nil, .fingerprint) { $0.hasFingerprint = false },
        Forgery("an unknown attribute", .error(420, signed: true), .unknownAttribute) { $0.unknown = [0x7FFF] },
        Forgery("our role, larger", .error(487, signed: true), .roleConflict) { $0.controlled = .max },
        Forgery("our role, smaller", .error(487, signed: true), .roleConflict) {
            $0.controlled = 0
            $0.controlling = nil
        },
        Forgery("an indication", nil, .notARequest) { $0.messageClass = .indication },
        Forgery("a success response", nil, .notARequest) { $0.messageClass = .success },
        Forgery("an error response", nil, .notARequest) { $0.messageClass = .error },
        Forgery("an Allocate request", nil, .notARequest) { $0.method = 3 },
        Forgery("a truncated request", nil, .malformed, bytes: Array(Check().nominating().datagram.dropLast())),
        Forgery("a wrong FINGERPRINT", nil, .fingerprint, bytes: Check().nominating().datagram.dropLast() + [0]),
        Forgery("nothing", nil, .malformed, bytes: []),
    ]

    @Test(arguments: forgeries) func forgedRequestChangesNothing(forgery: Forgery) {
        for isEstablished in [false, true] {
            var agent = ICELiteAgent.make()
            if isEstablished {
                _ = agent.take(Check().nominating(), from: alice)
                _ = agent.take(Check(), from: carol)
            }
            let before = agent.state
            for source in [alice, carol, bob] {
                let later = epoch + .seconds(1)
                let result = agent.handle(forgery.datagram.span.bytes, from: source, at: later)
                #expect(result.event == .none)
                #expect(Answer(result.response) == forgery.answer)
                #expect((result.response == nil) == (forgery.answer == nil))
            }
            #expect(agent.state == before)
            #expect(agent.rejections[forgery.reason] == 3)
            #expect(agent.rejections.total == 3)
        }
    }

    @Test func everyFlippedBitOfACheckChangesNothing() {
        let datagram = Check().nominating().datagram
        var agent = ICELiteAgent.make()
        let before = agent.state
        for bit in 0..<(8 * datagram.count) {
            var flipped = datagram
            flipped[bit / 8] ^= 0x80 >> (bit % 8)
            #expect(agent.handle(flipped.span.bytes, from: alice, at: epoch).event == .none, "bit \(bit)")
        }
        #expect(agent.state == before)
    }

    /// ATTACKS A-40: what is sent answers a request, and is never longer than a few times it.
    @Test func neverEmitsARequest() {
        var agent = ICELiteAgent.make()
        var random = SeededRandom(seed: 40)
        var answers = 0
        for step in 0..<5_000 as Range<Int64> {
            let now = epoch + .milliseconds(100 * step)
            var datagram = Self.forgeries.randomElement(using: &random)!.datagram
            if random.chance(0.3) { datagram = Check(nominates: random.chance(0.5)).datagram }
            if random.chance(0.3), !datagram.isEmpty {
                datagram[Int.random(in: 0..<datagram.count, using: &random)] ^= 1
            }
            let response = agent.handle(datagram.span.bytes, from: bob, at: now).response
            guard let response, let view = try? STUNMessageView(response.span.bytes) else { continue }
            answers += 1
            #expect(view.messageClass == .success || view.messageClass == .error)
            #expect(response.count <= 2 * datagram.count)
        }
        #expect(answers > 1_000)
    }

    // MARK: limits (ATTACKS A-42)

    @Test func thirdSwitchWithinASecondIsDroppedSoThatARetransmissionCanSucceed() {
        var agent = ICELiteAgent.make()
        let check = Check().nominating()
        #expect(agent.take(check, from: alice).event == .selected(alice))
        #expect(agent.take(check, from: bob, at: epoch + .milliseconds(10)).event == .selected(bob))
        #expect(agent.take(check, from: carol, at: epoch + .milliseconds(20)).event == .selected(carol))
        let before = agent.state
        let refused = agent.take(check, from: alice, at: epoch + .milliseconds(1_009))
        #expect(refused == ICELiteAgent.Result(response: nil, event: .none))
        #expect(agent.state == before)
        #expect(agent.rejections[.tooManySwitches] == 1)
        #expect(agent.take(check, from: alice, at: epoch + .milliseconds(1_010)).event == .selected(alice))
    }

    @Test func fourthAddressReplacesTheOneHeardLongestAgoButNeverTheSelected() {
        var agent = ICELiteAgent.make()
        for (offset, source) in [alice, bob, carol].enumerated() {
            _ = agent.take(Check(), from: source, at: epoch + .seconds(Int64(offset)))
        }
        _ = agent.take(Check(), from: bob, at: epoch + .seconds(3))
        #expect(agent.take(Check(), from: dave, at: epoch + .seconds(4)).event == .validated(dave))
        #expect(Set(agent.validatedAddresses) == [alice, bob, dave])
        #expect(agent.selected == alice)
        #expect(agent.take(Check(), from: carol, at: epoch + .seconds(5)).event == .validated(carol))
        #expect(Set(agent.validatedAddresses) == [alice, dave, carol])
    }

    @Test func resultNamesTheAddressThatMadeRoom() {
        var agent = ICELiteAgent.make()
        for (offset, source) in [alice, bob, carol].enumerated() {
            let result = agent.take(Check(), from: source, at: epoch + .seconds(Int64(offset)))
            #expect(result.isNewlyValidated && result.invalidated == nil)
        }
        #expect(agent.take(Check(), from: carol, at: epoch + .seconds(3)).isNewlyValidated == false)
        let result = agent.take(Check().nominating(), from: dave, at: epoch + .seconds(4))
        #expect(result.event == .selected(dave) && result.isNewlyValidated && result.invalidated == bob)
    }

    /// ATTACKS A-44: a flood of checks by somebody with credentials.
    @Test func checksBeyondAHundredASecondAreNotAnswered() {
        var agent = ICELiteAgent.make()
        var answers = 0
        for step in 0..<50_000 as Range<Int64> {
            let now = epoch + .microseconds(step * 100)
            if agent.take(Check(), from: alice, at: now).response != nil { answers += 1 }
        }
        // A hundred at once and a hundred a second, for 5 s.
        #expect((590...601).contains(answers))
        #expect(agent.rejections[.tooManyChecks] == UInt64(50_000 - answers))
        // Consent was kept all the while, and another address of the same peer has an allowance of its own.
        #expect(agent.consentDeadline.map { $0 >= epoch + .milliseconds(34_980) } == true)
        #expect(agent.take(Check(), from: bob, at: epoch + .seconds(5)).event == .validated(bob))
    }

    @Test func checksFromEverNewAddressesDoNotChurnWithoutEnd() {
        var agent = ICELiteAgent.make()
        _ = agent.take(Check().nominating(), from: alice)
        var newcomers = 0
        for step in 0..<50_000 as Range<Int64> {
            let source = address("198.51.100.7", UInt16(truncatingIfNeeded: 1_000 + step))
            let result = agent.take(Check(), from: source, at: epoch + .microseconds(step * 100))
            if result.isNewlyValidated { newcomers += 1 }
        }
        #expect((100...121).contains(newcomers))
        #expect(agent.selected == alice)
        #expect(agent.take(Check(), from: alice, at: epoch + .seconds(5)).response != nil)
    }

    /// A forger that has seen the user name neither gets more than ten answers a second nor keeps the true peer out.
    @Test func forgersGetFewAnswersAndLockNobodyOut() {
        var agent = ICELiteAgent.make()
        let forged = Check(password: "anotherPasswordOf24Chars").datagram
        var answers = 0
        for step in 0..<20_000 as Range<Int64> {
            let now = epoch + .microseconds(step * 100)
            if agent.handle(forged.span.bytes, from: bob, at: now).response != nil { answers += 1 }
        }
        #expect((28...31).contains(answers))
        #expect(agent.rejections[.badIntegrity] == 20_000)
        let later = epoch + .seconds(2)
        let result = agent.take(Check().nominating(), from: alice, at: later)
        #expect(result.event == .selected(alice) && result.response != nil)
        #expect(agent.take(Check(), from: bob, at: later).event == .validated(bob))
    }

    /// RFC 5245 §8.1.1.2: all pairs are nominated, the best one is meant.
    @Test func bestOfAggressiveNominationsWinsAndLaterOnesSwitchFreely() {
        var agent = ICELiteAgent.make()
        #expect(agent.take(Check().nominating(200), from: alice).event == .selected(alice))
        #expect(agent.take(Check().nominating(100), from: bob).event == .validated(bob))
        #expect(agent.take(Check().nominating(300), from: carol).event == .selected(carol))
        #expect(agent.take(Check().nominating(200), from: alice).event == .none)
        #expect(agent.selected == carol)
        let later = epoch + ICELiteAgent.aggressiveNominationWindow
        #expect(agent.take(Check().nominating(100), from: bob, at: later).event == .selected(bob))
    }

    // MARK: consent (RFC 7675)

    @Test func consentEndsThirtySecondsAfterTheLastRequestFromTheSelectedAddress() {
        var agent = ICELiteAgent.make()
        _ = agent.take(Check().nominating(), from: alice)
        _ = agent.take(Check(), from: alice, at: epoch + .seconds(4))
        _ = agent.take(Check(), from: bob, at: epoch + .seconds(20))
        #expect(agent.consentDeadline == epoch + .seconds(34))
        #expect(agent.handleTimeout(at: Instant(nanoseconds: (epoch + .seconds(34)).nanoseconds - 1)) == nil)
        #expect(agent.selected == alice)
        #expect(agent.handleTimeout(at: epoch + .seconds(34)) == alice)
        #expect(agent.handleTimeout(at: epoch + .seconds(34)) == nil)
        #expect(agent.selected == nil && agent.consentDeadline == nil && agent.validatedAddresses.isEmpty)
        #expect(agent.isConsentExpired)
    }

    @Test func expiredCredentialsStayDeadUntilARestart() {
        var agent = ICELiteAgent.make()
        _ = agent.take(Check().nominating(), from: alice)
        let late = agent.take(Check().nominating(), from: alice, at: epoch + .seconds(30))
        #expect(Answer(late.response) == .error(401))
        #expect(agent.isConsentExpired && agent.selected == nil)
        agent.restart(local: newServerCredentials, remote: newClientCredentials)
        #expect(Answer(agent.take(Check(), from: alice, at: epoch + .seconds(31)).response) == .error(401))
        #expect(agent.take(.renewed, from: alice, at: epoch + .seconds(31)).event == .selected(alice))
    }

    // MARK: restart (RFC 8445 §9)

    @Test func restartKeepsTheOldPathUntilTheNewGenerationNominates() throws {
        var agent = ICELiteAgent.make()
        _ = agent.take(Check().nominating(), from: alice)
        agent.restart(local: newServerCredentials, remote: newClientCredentials)
        let keys = [newServerCredentials, serverCredentials].map(\.usernameFragmentKey)
        #expect(agent.usernameFragmentKeys == keys)
        #expect(agent.selected == alice)

        let old = agent.take(Check(), from: alice, at: epoch + .seconds(5))
        #expect(Answer(old.response) == .success)
        #expect(agent.consentDeadline == epoch + .seconds(35))
        let checked = agent.take(.renewed, from: bob, at: epoch + .seconds(6))
        #expect(checked.event == .validated(bob))
        #expect(Answer(checked.response, password: newServerCredentials.password.value) == .success)
        #expect(agent.selected == alice)

        let nominated = agent.take(Check.renewed.nominating(1), from: bob, at: epoch + .seconds(7))
        #expect(nominated.event == .selected(bob))
        #expect(agent.usernameFragmentKeys == [keys[0]])
        #expect(Answer(agent.take(Check(), from: alice, at: epoch + .seconds(8)).response) == .error(401))
    }

    @Test func restartOnTheSameAddressSaysWhenItIsOver() {
        var agent = ICELiteAgent.make()
        _ = agent.take(Check().nominating(), from: alice)
        agent.restart(local: newServerCredentials, remote: newClientCredentials)
        #expect(agent.take(.renewed, from: alice).event == .none)
        #expect(agent.take(Check.renewed.nominating(), from: alice).event == .selected(alice))
        #expect(agent.take(Check.renewed.nominating(), from: alice).event == .none)
    }

    @Test func secondRestartKeepsTheGenerationThatCarriesMedia() {
        let third = ICECredentials(usernameFragment: "SRVRnew3", password: Redacted("thirdServerPassword24Cha"))
        var agent = ICELiteAgent.make()
        _ = agent.take(Check().nominating(), from: alice)
        agent.restart(local: newServerCredentials, remote: newClientCredentials)
        agent.restart(local: third, remote: clientCredentials)
        #expect(agent.usernameFragmentKeys == [third.usernameFragmentKey, serverCredentials.usernameFragmentKey])
        #expect(Answer(agent.take(Check(), from: alice).response) == .success)
        #expect(Answer(agent.take(.renewed, from: alice).response) == .error(401))
    }

    @Test func restartOutlivesTheConsentOfTheOldPath() {
        var agent = ICELiteAgent.make()
        _ = agent.take(Check().nominating(), from: alice)
        agent.restart(local: newServerCredentials, remote: newClientCredentials)
        #expect(agent.handleTimeout(at: epoch + .seconds(30)) == alice)
        #expect(!agent.isConsentExpired)
        #expect(agent.usernameFragmentKeys == [newServerCredentials.usernameFragmentKey])
        #expect(agent.take(.renewed, from: bob, at: epoch + .seconds(31)).event == .selected(bob))
    }

    // MARK: life cycle (ATTACKS A-46)

    @Test(arguments: [1, 2, 3] as [UInt64]) func randomLifeKeepsEveryInvariant(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var agent = ICELiteAgent.make()
        let sources = (1...6).map { address("192.0.2.\($0)") }
        let checks = [Check(), .renewed]
        var prepared: [(username: String?, nominates: Bool, bytes: [UInt8])] = []
        for var check in checks {
            for (nominates, priority): (Bool, UInt32) in [(false, 1), (false, 2), (true, 1), (true, 2)] {
                check.nominates = nominates
                check.priority = priority
                prepared.append((check.username, nominates, check.datagram))
            }
        }
        var now = epoch
        var current = 0
        var switches: [Instant] = []
        for step in 0..<35_000 {
            now = now + .milliseconds(Int64.random(in: 0...(random.chance(0.001) ? 40_000 : 400), using: &random))
            let before = agent.state
            switch Int.random(in: 0..<100, using: &random) {
            case 0:
                current = 1 - current
                agent.restart(
                    local: current == 0 ? serverCredentials : newServerCredentials,
                    remote: current == 0 ? clientCredentials : newClientCredentials
                )
                #expect(agent.selected == before.selected, "seed \(seed) step \(step)")
            case 1..<10:
                let expired = agent.handleTimeout(at: now)
                let isDue = before.consentDeadline.map { $0 <= now } ?? false
                #expect(expired == (isDue ? before.selected : nil), "seed \(seed) step \(step)")
            default:
                let check = prepared.randomElement(using: &random)!
                let source = sources.randomElement(using: &random)!
                let wasDue = before.consentDeadline.map { $0 <= now } ?? false
                let result = agent.handle(check.bytes.span.bytes, from: source, at: now)
                if agent.selected != before.selected, agent.selected != nil {
                    #expect(result.event == .selected(source), "seed \(seed) step \(step)")
                    #expect(agent.selected == source)
                    #expect(check.nominates || before.selected == nil || wasDue, "seed \(seed) step \(step)")
                    if before.selected != nil, !wasDue { switches.append(now) }
                }
                if case .success? = Answer(result.response, password: Self.password(check.username))?.messageClass {
                    #expect(agent.isValidated(source), "seed \(seed) step \(step)")
                } else if !wasDue {
                    #expect(agent.state == before, "seed \(seed) step \(step)")
                }
            }
            switches.removeAll { now - $0 >= .seconds(1) }
            #expect(switches.count <= 2, "seed \(seed) step \(step)")
            #expect(agent.validatedAddresses.count <= 3)
            #expect(Set(agent.validatedAddresses).count == agent.validatedAddresses.count)
            #expect((1...2).contains(agent.usernameFragmentKeys.count))
            #expect((agent.selected == nil) == (agent.consentDeadline == nil))
            if let selected = agent.selected {
                #expect(agent.isValidated(selected), "seed \(seed) step \(step)")
                #expect(!agent.isConsentExpired)
            }
        }
    }

    private static func password(_ username: String?) -> String {
        username == Check().username ? serverCredentials.password.value : newServerCredentials.password.value
    }
}
