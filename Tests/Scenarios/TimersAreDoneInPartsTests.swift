import Basics
import MediaPlane
import Negotiation
import TestSupport
import Testing

/// A worker with a thousand sessions does what is due for them in parts, and looks at its sockets between.
@Suite struct TimersAreDoneInPartsTests {
    @Test func `what is due and was not done is due at once, and done by the next calls`() throws {
        let call = SimulatedCall(seed: 11)
        for _ in 0..<6 {
            let client = call.addClient()
            _ = client.add(.audio, direction: .send)
            try call.negotiate(client)
        }
        #expect(call.run(upTo: .seconds(5)) { call.clients.allSatisfy(\.isConnected) })
        _ = call.router.handleTimers(at: call.now)

        // Reports, checks of the way and estimates of all six.
        let later = call.now + .seconds(2)
        var parts = 0
        while parts < 100, call.router.handleTimers(at: later, most: 2) {
            parts += 1
            let next = call.router.nextDeadline() ?? .distantFuture
            // The loop does not wait for what is left.
            if parts < 3 { #expect(next <= later, "part \(parts)") }
        }
        #expect(parts == 3)
        let next = call.router.nextDeadline() ?? .distantFuture
        #expect(next > later)
    }
}
