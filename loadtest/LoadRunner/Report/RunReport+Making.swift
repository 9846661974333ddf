import Basics
package import LoadClient

extension RunReport {
    /// - Parameters:
    ///   - peers: every peer that there was, before they are let go.
    ///   - failed: sessions that could not join, and why.
    init(
        scenario: Scenario,
        timeline: Timeline,
        peers: [PeerReport],
        failed: Joining.Failures,
        joinSeconds: Double,
        leftCount: Int,
        clientBytes: Int
    ) {
        self.init(scenario: scenario)
        self.seconds = timeline.seconds
        self.joinSeconds = joinSeconds
        self.left = leftCount
        self.failures = failed.texts
        self.points = timeline.points
        self.client = timeline.clientLoad
        self.clientBytes = clientBytes
        self.clientDrops = timeline.overflownDatagrams
        self.clientRefusals = timeline.refusedDatagrams
        self.clientFailures = failed.ownCount
        self.rateLimited = failed.limitedCount
        self.lateness = timeline.lateness
        self.sessions = scenario.sessions
        for (index, group) in scenario.groups.enumerated() {
            var result = Group(name: group.name)
            result.linkName = group.linkName
            if index < timeline.totals.count { result.totals = timeline.totals[index] }
            if index < timeline.latencies.count { result.latency = timeline.latencies[index] }
            result.join = Distribution(
                peers.filter { $0.group == index }.compactMap { $0.connectedAfter?.inSeconds }
            )
            if self.seconds > 0 { result.packetsPerSecond = Double(result.totals.packetsReceived) / self.seconds }
            self.groups.append(result)
            self.total.totals += result.totals
            self.total.latency.merge(result.latency)
        }
        self.add(peers, failed: failed.count)
        if let (before, after, seconds) = timeline.server {
            var server = Server()
            server.cpu = (after.cpuSeconds - before.cpuSeconds) / seconds
            server.packetsOut = after.packetsOut - before.packetsOut
            server.cpuPerPacket = after.cpuPerPacket(since: before)
            server.residentBytes = after.residentBytes
            server.drops = after.dropped(since: before).map { Drop(reason: $0.reason, count: $0.count) }
            self.server = server
        }
        self.evaluate()
    }

    package mutating func add(_ peers: [PeerReport], failed: Int) {
        let silence = min(Self.silence, .fractionalSeconds(max(self.seconds, 1)))
        let start = peers.map(\.madeAt).min() ?? .zero
        var rejecting = 0
        var times: [Double] = []
        var pictures: [Double] = []
        self.notJoined = failed
        for peer in peers {
            if let after = peer.connectedAfter {
                times.append(after.inSeconds)
                self.joins.append(Join(at: (peer.madeAt - start).inSeconds, took: after.inSeconds))
                if peer.end != nil || peer.hasLostSignalling { self.disconnected += 1 }
            } else if !peer.hasLeft || peer.isAnswered && (peer.end != nil || peer.age >= Self.silence) {
                // One whose signalling failed was closed, and is counted already; one that left soon had no time.
                self.notJoined += 1
            }
            if let after = peer.firstKeyFrameAfter { pictures.append(after.inSeconds) }
            guard peer.connectedAfter != nil else { continue }
            // Nothing will ever come on these.
            self.streams += peer.rejectedSections.count
            self.silentStreams += peer.rejectedSections.count
            if !peer.rejectedSections.isEmpty { rejecting += 1 }
            // Of those who left, only what was silent until then counts.
            for stream in peer.streams where !peer.hasLeft || stream.state == .flowing && stream.silence >= silence {
                switch stream.state {
                case .unbound:
                    self.unboundStreams += 1
                    continue
                case .paused: self.pausedStreams += 1
                case .flowing: if stream.silence >= silence { self.silentStreams += 1 }
                }
                self.streams += 1
            }
        }
        if rejecting > 0 {
            self.failures.append("the server's answers rejected m-lines of \(rejecting) sessions: they count as silent")
        }
        self.joins.sort { $0.at < $1.at }
        self.total.join = Distribution(times)
        self.firstPicture = Distribution(pictures)
        self.roundTrip = Distribution(peers.compactMap { $0.roundTripTime?.inSeconds })
    }
}
