package import MediaControl

/// How good a participant's connection is: 1 (unusable) to 5 (excellent), with the figures it was made from.
package struct QualityScore: Sendable, Equatable {
    package var score: Double
    /// 0 to 1: the worst of the tracks.
    package var fractionLost: Double
    /// In seconds.
    package var jitter: Double
    /// In seconds; `nil` before it was measured.
    package var roundTripTime: Double?

    /// A simplified E-model (ITU-T G.107), as VoIP monitors use it: delay and loss take away from 93.2, and the rest is
    /// mapped to an opinion score.
    package init(fractionLost: Double, jitter: Double, roundTripTime: Double?) {
        let delay = (roundTripTime ?? 0) / 2 * 1_000 + jitter * 2 * 1_000 + 10
        var rating = 93.2 - (delay < 160 ? delay / 40 : (delay - 120) / 10)
        rating -= 250 * min(max(fractionLost, 0), 1)
        rating = min(max(rating, 0), 100)
        let opinion = 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6
        // 4.5 is the most that the E-model gives.
        self.score = ((1 + (min(max(opinion, 1), 4.5) - 1) / 3.5 * 4) * 10).rounded() / 10
        self.fractionLost = fractionLost
        self.jitter = jitter
        self.roundTripTime = roundTripTime
    }

    /// `nil` while no media flows.
    package init?(_ statistics: SessionStatistics) {
        guard statistics.transport.connected, !statistics.inbound.isEmpty || !statistics.outbound.isEmpty else {
            return nil
        }
        let inboundLoss = statistics.inbound.map { entry in
            let expected = Double(entry.packetsReceived) + Double(max(entry.packetsLost, 0))
            return expected > 0 ? Double(max(entry.packetsLost, 0)) / expected : 0
        }
        self.init(
            fractionLost: (inboundLoss + statistics.outbound.map(\.fractionLost)).max() ?? 0,
            jitter: (statistics.inbound.map(\.jitter) + statistics.outbound.map(\.jitter)).max() ?? 0,
            roundTripTime: statistics.outbound.compactMap(\.roundTripTime).max()
        )
    }
}
