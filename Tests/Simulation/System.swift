import CongestionControl

/// Whose congestion control a trial runs.
enum System: Equatable, Sendable {
    /// Ours, with these rules.
    case sluice(EstimatorRules)
    /// GCC as libwebrtc ships it: our estimator without our rules.
    case googCC
    /// GCC with Jitsi Videobridge's continuous padding and its 15 % rule.
    case jitsi
    /// LiveKit's congestion detector: no estimate while nothing is wrong.
    case liveKit

    var name: String {
        switch self {
        case .sluice: "Sluice"
        case .googCC: "GCC"
        case .jitsi: "GCC + JVB"
        case .liveKit: "LiveKit"
        }
    }

    var isOurs: Bool {
        if case .sluice = self { return true }
        return false
    }

    var rules: EstimatorRules {
        if case .sluice(let rules) = self { return rules }
        return .googCC
    }
}

extension EstimatorRules {
    static let letters: [(letter: Character, rule: EstimatorRules)] = [
        ("V", .standingQueueVeto), ("S", .serviceRateDecrease), ("D", .drain), ("P", .goalProbing), ("R", .restore),
        ("L", .inherentLoss), ("F", .feedbackSilence), ("M", .marks),
    ]

    /// - Parameter text: letters with commas, as `V,S,D`; `nil` when one is not known.
    init?(letters text: String) {
        self = []
        for letter in text where letter != "," {
            guard let rule = Self.letters.first(where: { $0.letter == letter })?.rule else { return nil }
            self.insert(rule)
        }
    }

    var text: String {
        Self.letters.filter { self.contains($0.rule) }.map { String($0.letter) }.joined(separator: ",")
    }
}
