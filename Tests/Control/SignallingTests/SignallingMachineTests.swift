import Basics
import Rooms
import Testing

@testable import Signalling

/// The rules of a connection, in virtual time.
@Suite struct SignallingMachineTests {
    private static let join = Array(#"{"type":"join","payload":{"roomId":"r"},"id":1}"#.utf8)
    private static let stats = Array(#"{"type":"stats","payload":{}}"#.utf8)

    private static func machine(joined: Bool = true, at now: Instant = .zero) -> SignallingMachine {
        var machine = SignallingMachine(limits: SignallingLimits(), openedAt: now)
        if joined {
            _ = machine.receive(Self.join, at: now)
            machine.joined()
        }
        return machine
    }

    private static func at(milliseconds: Int64) -> Instant { .zero + .milliseconds(milliseconds) }

    @Test func joinComesFirstAndOnce() {
        var machine = Self.machine(joined: false)
        #expect(machine.receive(Self.stats, at: .zero).map(\.name) == ["reply badMessage"])
        #expect(machine.receive(Self.join, at: .zero).map(\.name) == ["perform join"])
        // Refused by the room: it may try again.
        #expect(machine.receive(Self.join, at: .zero).map(\.name) == ["perform join"])
        machine.joined()
        #expect(machine.receive(Self.join, at: .zero).map(\.name) == ["reply badMessage"])
        #expect(machine.receive(Self.stats, at: .zero).map(\.name) == ["perform stats"])
    }

    @Test func nothingIsRelayedBeforeJoining() {
        var machine = Self.machine(joined: false)
        let relay = Array(#"{"type":"join","payload":{"roomId":"r","to":"x"}}"#.utf8)
        #expect(machine.receive(relay, at: .zero).map(\.name) == ["reply badMessage"])
    }

    @Test func leavingBeforeJoiningJustEnds() {
        var machine = Self.machine(joined: false)
        #expect(machine.receive(Array(#"{"type":"leave","payload":{}}"#.utf8), at: .zero).map(\.name) == ["close 1000"])
        #expect(machine.receive(Self.join, at: .zero).isEmpty)
    }

    @Test func theTenthBadMessageInARowEnds() {
        var machine = Self.machine()
        for _ in 0..<9 { #expect(machine.receive([0x7B], at: .zero).map(\.name) == ["reply badMessage"]) }
        #expect(machine.receive([0x7B], at: .zero).map(\.name) == ["reply badMessage", "close 1008"])
        #expect(machine.receive(Self.stats, at: .zero).isEmpty)
    }

    @Test func aHundredMessagesASecondAreTakenForEver() {
        var machine = Self.machine()
        for step in 1...1_000 {
            #expect(
                machine.receive(Self.stats, at: Self.at(milliseconds: Int64(step) * 10)).map(\.name) == [
                    "perform stats"
                ]
            )
        }
    }

    @Test func aBurstOverTheRateIsRefusedAndForgiven() {
        var machine = Self.machine()
        let burst = (0..<150).flatMap { _ in machine.receive(Self.stats, at: .zero).map(\.name) }
        #expect(burst.count { $0 == "perform stats" } == 99)
        #expect(burst.count { $0 == "reply rateLimited" } == 51)
        #expect(machine.receive(Self.stats, at: Self.at(milliseconds: 1_000)).map(\.name) == ["perform stats"])
    }

    @Test(arguments: [(300, true), (150, false)])
    func aFloodThatGoesOnEnds(perSecond: Int64, isEnded: Bool) {
        var machine = Self.machine()
        var actions: [String] = []
        for step in 0..<(perSecond * 5) {
            actions += machine.receive(Self.stats, at: Self.at(milliseconds: step * 1_000 / perSecond)).map(\.name)
        }
        #expect(actions.contains("close 1008") == isEnded)
    }

    @Test func pingsCountAsMessages() {
        var machine = Self.machine()
        let actions = (0..<300).flatMap { _ in machine.receivedControlFrame(at: .zero).map(\.name) }
        #expect(actions == ["close 1008"])
    }

    @Test func whoDoesNotJoinInTimeIsEnded() {
        var machine = Self.machine(joined: false)
        #expect(machine.tick(at: Self.at(milliseconds: 9_999)).isEmpty)
        #expect(machine.tick(at: Self.at(milliseconds: 10_000)).map(\.name) == ["close 1008"])
        var joined = Self.machine()
        #expect(joined.tick(at: Self.at(milliseconds: 100_000)).isEmpty)
    }

    @Test(arguments: [
        (#"{"type":"publish","payload":[{"mid":"0","source":"camera"}]}"#, "perform publish"),
        (
            #"{"type":"publish","payload":{"tracks":[{"mid":"0","source":"screenAudio","name":"n"}]}}"#,
            "perform publish"
        ),
        (#"{"type":"publish","payload":{"mid":"0","source":"other"}}"#, "perform publish"),
        (#"{"type":"publish","payload":{}}"#, "reply badMessage"),
        (#"{"type":"publish","payload":[{"mid":"0","source":"hologram"}]}"#, "reply badMessage"),
        (#"{"type":"ice","payload":{"candidate":null}}"#, "perform ice"),
        (#"{"type":"ice","payload":{"candidate":1}}"#, "reply badMessage"),
        (#"{"type":"prefer","payload":{"trackId":"t","priority":255}}"#, "perform prefer"),
        (#"{"type":"prefer","payload":{"trackId":"t","priority":256}}"#, "reply badMessage"),
        (#"{"type":"prefer","payload":{"trackId":"t","maxFps":29.97}}"#, "perform prefer"),
        (#"{"type":"prefer","payload":{"trackId":"t","maxWidth":-1}}"#, "reply badMessage"),
        (#"{"type":"prefer","payload":{"trackId":"t","maxWidth":1e300}}"#, "reply badMessage"),
        (#"{"type":"mute","payload":{"trackId":"t"}}"#, "reply badMessage"),
        (#"{"type":"mute","payload":{"trackId":"t","muted":"yes"}}"#, "reply badMessage"),
        (#"{"type":"subscribe","payload":{"trackId":"t","mid":null}}"#, "perform subscribe"),
        (#"{"type":"subscribe","payload":{}}"#, "reply badMessage"),
        (#"{"type":"offer","payload":{}}"#, "reply badMessage"),
        (#"{"type":"offer","payload":{"sdp":"","to":null}}"#, "perform offer"),
        (#"{"type":"offer","payload":{"anything":1,"to":"x"}}"#, "perform relay"),
        (#"{"type":"join","payload":{"roomId":"r","to":"x"}}"#, "perform relay"),
        (#"{"type":"publish","payload":{"to":"x"}}"#, "perform relay"),
        (#"{"type":"whatever they like","payload":{"to":"x"}}"#, "perform relay"),
        (#"{"type":"","payload":{"to":"x"}}"#, "reply badMessage"),
        (#"{"type":"\#(String(repeating: "x", count: 65))","payload":{"to":"x"}}"#, "reply badMessage"),
        (#"{"type":"whatever they like","payload":{}}"#, "reply badMessage"),
        (#"{"type":"setMetadata","payload":{}}"#, "reply badMessage"),
        (#"{"type":"setMetadata","payload":{"metadata":null}}"#, "perform setMetadata"),
        (#"{"type":"offer","payload":{"sdp":"","to":1}}"#, "reply badMessage"),
        (#"{"type":"stats"}"#, "perform stats"),
        (#"{"type":"stats","payload":{},"id":"1"}"#, "reply badMessage"),
        (#"{"type":"stats","payload":{},"id":1.5}"#, "reply badMessage"),
        (#"{"type":"stats","payload":{},"id":-9223372036854775808}"#, "perform stats"),
    ])
    func messagesAreReadStrictly(text: String, action: String) {
        var machine = Self.machine()
        #expect(machine.receive(Array(text.utf8), at: .zero).map(\.name) == [action])
    }

    @Test func aReloadedLimitCountsForAddressesThatAreKnown() {
        let limiter = AddressLimiter()
        #expect(limiter.admit(nil, perSecond: 100, at: .zero))
        #expect(limiter.admit(nil, perSecond: 1, at: .zero))
        #expect(!limiter.admit(nil, perSecond: 1, at: .zero))
        #expect(limiter.admit(nil, perSecond: 100, at: .zero))
    }
}

extension SignallingMachine.Action {
    fileprivate var name: String {
        switch self {
        case .perform(let message, _): "perform \(message.name)"
        case .reply(let reply): "reply \(reply.payload["code"]?.stringValue ?? "")"
        case .close(let code, _): "close \(code)"
        }
    }
}
