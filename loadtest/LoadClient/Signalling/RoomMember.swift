import Synchronization

/// A participant over WebSocket: publishes what its plan says, and receives what others publish.
package final class RoomMember: Sendable {
    package struct Invitation: Sendable {
        package var server: ServerAddress
        package var token: String?
        package var acceptsAnyCertificate: Bool
        package var room: String
        package var name: String
        /// How large it wants its pictures.
        package var preference: SignalPayload.Preference?

        package init(
            server: ServerAddress,
            token: String? = nil,
            acceptsAnyCertificate: Bool = false,
            room: String,
            name: String,
            preference: SignalPayload.Preference? = nil
        ) {
            self.server = server
            self.token = token
            self.acceptsAnyCertificate = acceptsAnyCertificate
            self.room = room
            self.name = name
            self.preference = preference
        }
    }

    private struct State {
        var tracks = RoomTracks()
        var peer: PeerID?
        var audioMid: String?
    }

    private let state = Mutex(State())
    private let loop: ClientLoop
    private let preference: SignalPayload.Preference?
    private let client = Mutex<SignallingClient?>(nil)
    private let onLost: @Sendable (String) -> Void

    private init(loop: ClientLoop, preference: SignalPayload.Preference?, onLost: @escaping @Sendable (String) -> Void)
    {
        self.loop = loop
        self.preference = preference
        self.onLost = onLost
    }

    /// Joins, offers, and starts to connect.
    ///
    /// - Parameter onLost: the WebSocket ended although nobody left.
    package static func join(
        _ invitation: Invitation,
        plan: PeerPlan,
        on loop: ClientLoop,
        onLost: @escaping @Sendable (String) -> Void
    ) async throws -> RoomMember {
        let member = RoomMember(loop: loop, preference: invitation.preference, onLost: onLost)
        do {
            try await member.run(invitation, plan: plan)
            return member
        } catch {
            await member.leave()
            throw error
        }
    }

    private func run(_ invitation: Invitation, plan: PeerPlan) async throws {
        var plan = plan
        plan.bindsLater = true
        let offer = try await self.loop.add(plan)
        self.state.withLock { state in
            state.peer = offer.id
            state.audioMid = offer.audioMid
        }
        let client = SignallingClient { [weak self] in
            self?.receive($0)
        } onLost: { [onLost, loop] in
            loop.noteLostSignalling(of: offer.id)
            onLost($0)
        }
        self.client.withLock { $0 = client }
        try await client.connect(to: invitation.server, acceptsAnyCertificate: invitation.acceptsAnyCertificate)
        let join = SignalPayload.Join(roomId: invitation.room, token: invitation.token, name: invitation.name)
        _ = try await client.request("join", join)
        var publications: [SignalPayload.Publication] = []
        if let mid = offer.audioMid { publications.append(.init(mid: mid, source: "microphone")) }
        if let mid = offer.videoMid { publications.append(.init(mid: mid, source: "camera")) }
        if !publications.isEmpty { client.tell("publish", publications) }
        let answer = try await client.request("offer", SignalPayload.Offer(sdp: offer.sdp))
        guard let sdp = answer.payload?.sdp else { throw LoadClientError.badAnswer("it has no sdp") }
        try await self.loop.start(offer.id, answer: sdp)
    }

    package var peer: PeerID? { self.state.withLock { $0.peer } }

    /// Mutes or unmutes the microphone: its packets stop at the server.
    package func setMuted(_ isMuted: Bool) {
        let track = self.state.withLock { state in state.audioMid.flatMap { state.tracks.published[$0] } }
        guard let track else { return }
        self.client.withLock { $0 }?.tell("mute", SignalPayload.Mute(trackId: track, muted: isMuted))
    }

    /// - Returns: whether there was a connection to say it on.
    @discardableResult
    package func leave() async -> Bool {
        // Media first: what came after the goodbye would be a stranger's to the server.
        if let peer = self.peer { self.loop.close(peer) }
        return await self.client.withLock { $0.take() }?.leave() ?? false
    }

    private func receive(_ message: SignalMessage) {
        let (changes, peer) = self.state.withLock { state in
            (state.tracks.receive(message), state.peer)
        }
        guard let peer else { return }
        for change in changes { self.apply(change, to: peer) }
    }

    private func apply(_ change: RoomTracks.Change, to peer: PeerID) {
        switch change {
        case .state(let mid, let state): self.loop.setState(peer, mid: mid, state)
        case .bound(let track):
            guard var preference = self.preference else { return }
            preference.trackId = track
            self.client.withLock { $0 }?.tell("prefer", preference)
        }
    }
}
