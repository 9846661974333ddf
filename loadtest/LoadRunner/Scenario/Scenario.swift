package import Basics
package import LoadClient

/// What a load test does: who joins which rooms, how, over which networks, and what must hold.
package struct Scenario: Sendable, Equatable {
    package enum Transport: String, Sendable, CaseIterable {
        /// WHIP and WHEP: publishers publish, and subscribers have one session for each publisher.
        case whip
        /// `sluice.v1`: participants, who publish, receive, or both.
        case websocket
    }

    package struct Churn: Sendable, Equatable {
        package enum Who: String, Sendable, CaseIterable { case subscribers, publishers, everyone }
        /// Participants that leave in a second, each with another who comes in its place.
        package var rate: Double
        package var who: Who

        package init(rate: Double, who: Who) {
            self.rate = rate
            self.who = who
        }
    }

    package struct Speakers: Sendable, Equatable {
        package enum Others: String, Sendable, CaseIterable {
            /// As DTX sends silence: a packet each 400 ms.
            case silent
            /// Muted at the server; WebSocket only.
            case muted
        }
        /// In each room.
        package var count: Int
        /// How long they speak before others do.
        package var every: Nanoseconds
        package var others: Others

        package init(count: Int, every: Nanoseconds, others: Others) {
            self.count = count
            self.every = every
            self.others = others
        }
    }

    package var name: String
    package var description = ""
    package var transport = Transport.whip
    /// All alike.
    package var rooms = 1
    /// In each room.
    package var publishers: [ParticipantGroup] = []
    package var subscribers: [ParticipantGroup] = []
    /// Participants that join in a second.
    package var joinRate = 100.0
    /// Between the last join and the measurement.
    package var settle = Nanoseconds.seconds(2)
    /// Of the measurement.
    package var duration = Nanoseconds.seconds(30)
    /// Of losses, jitter, churn and speakers: a run's dice fall alike each time.
    package var seed: UInt64 = 1
    /// That run the clients.
    package var threads = 1
    /// Over WHEP, a subscriber has one session for all publishers of its room, in place of one for each.
    package var receivesAtOnce = false
    package var churn: Churn?
    package var speakers: Speakers?
    package var limits: [Limit] = Limit.always

    package init(name: String) { self.name = name }

    /// Publishers first: the index is `PeerPlan.group`.
    package var groups: [ParticipantGroup] { self.publishers + self.subscribers }
    package var publishersPerRoom: Int { self.publishers.reduce(0) { $0 + $1.count } }
    package var subscribersPerRoom: Int { self.subscribers.reduce(0) { $0 + $1.count } }
    /// Of those whom churn takes its leavers from.
    package func count(of who: Churn.Who) -> Int {
        switch who {
        case .everyone: self.participants
        case .publishers: self.rooms * self.publishersPerRoom
        case .subscribers: self.rooms * self.subscribersPerRoom
        }
    }
    package var participants: Int { self.rooms * (self.publishersPerRoom + self.subscribersPerRoom) }

    /// Whether a connection has dependency descriptors, on all its video m-lines: as in Chromium if the scenario does not say.
    /// Chromium offers them where it publishes with RIDs, and Sluice's page, over WebSocket, asks for them everywhere.
    ///
    /// - Parameter video: what the connection publishes.
    package func describesFrames(_ video: VideoProfile?) -> Bool {
        video?.describesFrames ?? (self.transport == .websocket || video?.layers.contains { $0.rid != nil } == true)
    }

    /// Whether anybody is to receive anything.
    package var receives: Bool {
        let receivers =
            self.subscribers + (self.transport == .websocket && self.publishersPerRoom > 1 ? self.publishers : [])
        return receivers.contains { $0.receives && $0.count > 0 }
    }

    /// Sockets of the clients, and what else a run opens.
    package var openFiles: Int {
        self.sessions * (self.transport == .websocket ? 2 : 1) + ProcessLimits.spareFiles
    }

    /// Peer connections: a subscriber over WHEP has one for each publisher, unless it receives them at once.
    package var sessions: Int {
        let each = self.transport == .whip && !self.receivesAtOnce ? self.publishersPerRoom : 1
        return self.rooms * (self.publishersPerRoom + self.subscribersPerRoom * each)
    }
}

/// Participants that are alike.
package struct ParticipantGroup: Sendable, Equatable {
    /// How the packets of publishers lie to each other within the 20 ms, or the time of a frame, from one to the next.
    package enum Phase: String, Sendable, CaseIterable {
        /// Each counts from when it is connected.
        case joining
        /// Evenly, over all publishers of the scenario.
        case spread
        /// All at the same time.
        case together
        /// Each anywhere, from the scenario's seed.
        case random
    }

    package var name: String
    package var count = 1
    package var publishes = false
    package var video: VideoProfile?
    package var audio: Bitrate?
    package var phase = Phase.joining
    /// Whether it receives the publishers of its room.
    package var receives = true
    package var feedback = ReceiverFeedback.all
    /// What was wished of each video track, over WebSocket.
    package var preference: SignalPayload.Preference?
    package var link = LinkPair()
    /// The link's name in the scenario.
    package var linkName: String?

    package init(name: String) { self.name = name }
}
