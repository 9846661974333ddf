import LoadRunner
import Testing

@Suite struct SessionCountTests {
    @Test(arguments: [
        (transport: Scenario.Transport.whip, atOnce: false, sessions: 2 * (3 + 5 * 3)),
        (transport: .whip, atOnce: true, sessions: 2 * (3 + 5)),
        (transport: .websocket, atOnce: false, sessions: 2 * (3 + 5)),
    ])
    func `a subscriber by WHEP has a session for each publisher, or one for all`(
        transport: Scenario.Transport,
        atOnce: Bool,
        sessions: Int
    ) {
        var publishers = ParticipantGroup(name: "publishers")
        publishers.count = 3
        var subscribers = ParticipantGroup(name: "subscribers")
        subscribers.count = 5
        var scenario = Scenario(name: "test")
        scenario.rooms = 2
        scenario.transport = transport
        scenario.receivesAtOnce = atOnce
        scenario.publishers = [publishers]
        scenario.subscribers = [subscribers]
        #expect(scenario.sessions == sessions)
    }
}
