package import Basics
import ICE
import STUN

extension PeerSession {
    /// When the selected address last proved, by an authenticated check, that it is the peer's. A server's session only.
    package var lastCheck: Instant? {
        guard let deadline = self.ice.lite?.consentDeadline else { return nil }
        return Instant(nanoseconds: deadline.nanoseconds - ICELiteAgent.consentLifetime.count)
    }

    /// Ends a server's session whose consent is over, before a datagram can make its agent forget that there was any:
    /// the timer that would have noticed may fire later in the same turn.
    mutating func endIfConsentIsOver(at now: Instant) {
        guard let deadline = self.ice.lite?.consentDeadline, now >= deadline else { return }
        self.handleTimeout(at: now)
    }

    /// Repeats `.selected` for a check that nominates the address that is selected already: a client that sees two of
    /// our sockets nominates one of them, and to the agent both are the same address of the client's.
    ///
    /// - Parameter outputsSince: how many outputs there were before the check was handled.
    mutating func selectAgain(ifNominatedBy datagram: RawSpan, from source: TransportAddress, outputsSince count: Int) {
        guard self.ice.lite != nil, self.selected == source, count < self.outputs.count,
            // A success response goes to nobody but the peer.
            case .transmit(let response, source, _) = self.outputs[count], response.starts(with: Self.successType)
        else { return }
        for index in count..<self.outputs.count {
            if case .selected = self.outputs[index] { return }
        }
        do {
            if try STUNMessageView(datagram).useCandidate { self.outputs.append(.selected(source)) }
        } catch {}
    }

    private static let successType: [UInt8] = [0x01, 0x01]
}
