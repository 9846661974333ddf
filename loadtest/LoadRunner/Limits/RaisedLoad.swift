/// What `--find-limit` raises.
package enum RaisedLoad: String, Sendable, CaseIterable {
    case subscribers, publishers, rooms

    /// What raising makes sense for, unless somebody says otherwise: listeners where there are some, else rooms.
    package static func natural(for scenario: Scenario) -> Self {
        scenario.subscribersPerRoom > 0 ? .subscribers : .rooms
    }

    /// In the scenario as it stands.
    package func load(of scenario: Scenario) -> Int {
        switch self {
        case .subscribers: scenario.subscribersPerRoom
        case .publishers: scenario.publishersPerRoom
        case .rooms: scenario.rooms
        }
    }

    /// The largest load, no larger than `most`, whose sockets this machine can open.
    /// - Parameter files: that may be open at a time.
    package func largest(_ most: Int, in scenario: Scenario, files: Int) -> Int {
        var (fits, tooMany) = (0, max(most, 1) + 1)
        while tooMany - fits > 1 {
            let load = fits + (tooMany - fits) / 2
            if self.setting(load, in: scenario).openFiles <= files { fits = load } else { tooMany = load }
        }
        return max(fits, 1)
    }

    /// The scenario with another load, its groups in the same proportion as far as whole people allow.
    package func setting(_ load: Int, in scenario: Scenario) -> Scenario {
        var scenario = scenario
        switch self {
        case .subscribers: scenario.subscribers = Self.spread(load, over: scenario.subscribers)
        case .publishers: scenario.publishers = Self.spread(load, over: scenario.publishers)
        case .rooms: scenario.rooms = max(load, 1)
        }
        return scenario
    }

    private static func spread(_ load: Int, over groups: [ParticipantGroup]) -> [ParticipantGroup] {
        let total = groups.reduce(0) { $0 + $1.count }
        var groups = groups
        guard total > 0 else {
            if !groups.isEmpty { groups[0].count = load }
            return groups
        }
        // The running sum is rounded, so that the parts add up.
        var (before, given) = (0, 0)
        for index in groups.indices {
            before += groups[index].count
            let upTo = load * before / total
            groups[index].count = upTo - given
            given = upTo
        }
        return groups
    }
}
