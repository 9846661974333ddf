import Basics
import Negotiation
import Testing

extension SimulatedCall {
    /// A publisher of video and a subscriber of it, connected; nothing is filmed yet.
    /// - Parameter rids: the encodings as the offer names them; none without simulcast.
    static func video(
        seed: UInt64,
        rids: [String] = []
    ) throws -> (
        call: SimulatedCall, publisher: SimulatedClient, uplink: String, subscriber: SimulatedClient, mid: String
    ) {
        let call = SimulatedCall(seed: seed)
        let publisher = call.addClient()
        let uplink = publisher.add(.video, direction: .send, rids: rids)
        try call.negotiate(publisher)
        let subscriber = call.addClient()
        let mid = subscriber.add(.video, direction: .receive)
        try call.negotiate(subscriber)
        try call.bind(publisher, uplink, to: subscriber, mid)
        #expect(call.run(upTo: .seconds(2)) { publisher.isConnected && subscriber.isConnected })
        return (call, publisher, uplink, subscriber, mid)
    }
}
