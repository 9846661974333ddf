package import Basics
package import ICE

extension PeerSession {
    /// Restarts a client's ICE (RFC 8445 §9): new credentials on both sides, and the server's candidates anew.
    ///
    /// Media goes on over the selected path until the new generation has nominated. Does nothing on a server's session,
    /// which takes `restart(local:remote:)`.
    ///
    /// - Parameter candidates: the server's, best first.
    package mutating func restart(
        local: ICECredentials,
        remote: ICECredentials,
        candidates: [TransportAddress],
        at now: Instant
    ) {
        guard !self.hasEnded, self.ice.full != nil else { return }
        let list = candidates.enumerated().map { index, address in
            ICECandidate(
                host: address,
                foundation: "\(index)",
                component: 1,
                priority: UInt32(clamping: 100 - index)
            )
        }
        self.ice.full?.restart(local: local, remote: remote, candidates: list, at: now)
        // The new checklist is due at once; `handleTimeout` finds the deadline after that.
        self.agentDeadline = now
    }
}
