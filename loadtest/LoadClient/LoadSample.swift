/// Sums over the peers of a group, since they began.
package struct LoadTotals: Sendable, Equatable {
    /// Peers that were made.
    package var peers = 0
    /// Whose ICE and DTLS are up now.
    package var connected = 0
    /// Peers that lost their connection, or never got one within its time.
    package var failed = 0
    package var packetsReceived: UInt64 = 0
    package var bytesReceived: UInt64 = 0
    package var packetsLost: Int64 = 0
    package var packetsRecovered: UInt64 = 0
    package var packetsAbandoned: UInt64 = 0
    package var packetsOutOfOrder: UInt64 = 0
    package var packetsDuplicated: UInt64 = 0
    package var packetsUnreadable: UInt64 = 0
    package var packetsSent: UInt64 = 0
    package var bytesSent: UInt64 = 0
    package var keyFrameRequests: UInt64 = 0
    package var sizeChanges = 0
    /// Video streams that receive now, by the height of their picture; 0 = bound, and nothing comes.
    package var pictures: [Int: Int] = [:]

    package init() {}

    package static func += (left: inout Self, right: Self) {
        left.peers += right.peers
        left.connected += right.connected
        left.failed += right.failed
        left.packetsReceived += right.packetsReceived
        left.bytesReceived += right.bytesReceived
        left.packetsLost += right.packetsLost
        left.packetsRecovered += right.packetsRecovered
        left.packetsAbandoned += right.packetsAbandoned
        left.packetsOutOfOrder += right.packetsOutOfOrder
        left.packetsDuplicated += right.packetsDuplicated
        left.packetsUnreadable += right.packetsUnreadable
        left.packetsSent += right.packetsSent
        left.bytesSent += right.bytesSent
        left.keyFrameRequests += right.keyFrameRequests
        left.sizeChanges += right.sizeChanges
        left.pictures.merge(right.pictures, uniquingKeysWith: +)
    }

    /// What was added since; what is now stays.
    package func since(_ earlier: Self) -> Self {
        var difference = self
        difference.packetsReceived &-= earlier.packetsReceived
        difference.bytesReceived &-= earlier.bytesReceived
        difference.packetsLost -= earlier.packetsLost
        difference.packetsRecovered &-= earlier.packetsRecovered
        difference.packetsAbandoned &-= earlier.packetsAbandoned
        difference.packetsOutOfOrder &-= earlier.packetsOutOfOrder
        difference.packetsDuplicated &-= earlier.packetsDuplicated
        difference.packetsUnreadable &-= earlier.packetsUnreadable
        difference.packetsSent &-= earlier.packetsSent
        difference.bytesSent &-= earlier.bytesSent
        difference.keyFrameRequests &-= earlier.keyFrameRequests
        difference.sizeChanges -= earlier.sizeChanges
        return difference
    }
}

/// What the peers of one or several loops have seen.
package struct LoadSample: Sendable {
    package struct Group: Sendable {
        package var totals = LoadTotals()
        /// Since the last sample.
        package var latency = LatencyHistogram()
        /// Of what publishers send, and links deliver, behind its time; since the last sample.
        package var lateness = LatencyHistogram()

        package init() {}
    }

    /// By `PeerPlan.group`.
    package var groups: [Group] = []
    /// CPU time of the loops' threads since they began, in seconds.
    package var cpuSeconds = 0.0
    /// For how long they could have run and had no core, in seconds.
    package var waitSeconds = 0.0
    /// Datagrams that the kernel would not send: the port at the other end is closed, or there is no way to it.
    package var refusedDatagrams: UInt64 = 0
    /// Datagrams that found their socket's buffer full, coming or going: lost by this machine, not by the server.
    package var overflownDatagrams: UInt64 = 0

    package init() {}

    package mutating func merge(_ other: Self) {
        while self.groups.count < other.groups.count { self.groups.append(Group()) }
        for (index, group) in other.groups.enumerated() {
            self.groups[index].totals += group.totals
            self.groups[index].latency.merge(group.latency)
            self.groups[index].lateness.merge(group.lateness)
        }
        self.cpuSeconds += other.cpuSeconds
        self.waitSeconds += other.waitSeconds
        self.refusedDatagrams += other.refusedDatagrams
        self.overflownDatagrams += other.overflownDatagrams
    }

    /// Of all groups together.
    package var total: Group {
        var sum = Group()
        for group in self.groups {
            sum.totals += group.totals
            sum.latency.merge(group.latency)
            sum.lateness.merge(group.lateness)
        }
        return sum
    }
}
