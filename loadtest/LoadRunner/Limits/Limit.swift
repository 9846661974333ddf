/// What a run must not exceed.
package struct Limit: Sendable, Equatable {
    package enum Unit: Sendable { case share, seconds, count }

    package enum Kind: String, Sendable, CaseIterable {
        /// Packets that did not come by themselves, of those that should have.
        case loss
        /// Packets that did not come however often they were asked for.
        case lossAfterRecovery
        case latencyP50, latencyP95, latencyP99
        /// From the making of the offer to ICE and DTLS being up.
        case joinP50, joinP95, joinP99
        /// From the same to the first packet of a key frame.
        case firstPictureP95
        /// Peers that never got connected.
        case notJoined
        /// Peers that lost their connection.
        case disconnected
        /// Streams on which nothing came for 5 s, although a track was bound and neither muted nor held back.
        case silentStreams
        /// Of the server, for each packet that it sent.
        case cpuPerPacket
        /// Of the server; 1 is one core.
        case serverCPU

        package var unit: Unit {
            switch self {
            case .loss, .lossAfterRecovery, .serverCPU: .share
            case .latencyP50, .latencyP95, .latencyP99, .joinP50, .joinP95, .joinP99, .firstPictureP95, .cpuPerPacket:
                .seconds
            case .notJoined, .disconnected, .silentStreams: .count
            }
        }
    }

    package var kind: Kind
    /// A share of 1, seconds, or a count.
    package var most: Double

    package init(_ kind: Kind, most: Double) {
        self.kind = kind
        self.most = most
    }

    /// What holds unless a scenario says otherwise: everybody is there and hears something.
    package static let always = [
        Limit(.notJoined, most: 0), Limit(.disconnected, most: 0), Limit(.silentStreams, most: 0),
    ]

    /// A value of this kind, with its unit.
    package static func text(_ value: Double, of kind: Kind) -> String {
        switch kind.unit {
        case .share: "\(Decimal.text(value * 100, digits: 3)) %"
        case .seconds:
            value < 1e-4 ? "\(Decimal.text(value * 1e6, digits: 2)) µs" : "\(Decimal.text(value * 1e3, digits: 2)) ms"
        case .count: Decimal.text(value, digits: 0)
        }
    }
}

/// A limit and what was measured.
package struct LimitResult: Sendable, Equatable {
    package var limit: Limit
    /// `nil` = it could not be measured, which is no pass.
    package var measured: Double?

    package init(_ limit: Limit, measured: Double?) {
        self.limit = limit
        self.measured = measured
    }

    package var isKept: Bool { self.measured.map { $0 <= self.limit.most } ?? false }

    package var text: String {
        let most = Limit.text(self.limit.most, of: self.limit.kind)
        guard let measured else { return "\(self.limit.kind.rawValue): not measured, limit \(most)" }
        let relation = self.isKept ? "within" : "over"
        return "\(self.limit.kind.rawValue): \(Limit.text(measured, of: self.limit.kind)), \(relation) \(most)"
    }
}
