import Basics
import LoadClient
import Synchronization

/// The participants of a run: joins them at the scenario's rate, lets some go and others come, says who speaks.
final class Crowd: Sendable {
    /// Joins and leaves under way at once.
    private static let largestPending = 256

    private let scenario: Scenario
    private let joining: Joining
    private let members = Mutex<[Participant]>([])
    /// Participants that have joined, or failed to.
    private let finished = Mutex(0)
    private let left = Mutex(0)
    private let random: Mutex<RandomSource>

    init(scenario: Scenario, joining: Joining) {
        self.scenario = scenario
        self.joining = joining
        self.random = Mutex(.seeded(state: scenario.seed))
    }

    var joinedCount: Int { self.members.withLock { $0.count } }
    var finishedCount: Int { self.finished.withLock { $0 } }
    var leftCount: Int { self.left.withLock { $0 } }

    private func places(publishes: Bool) -> [Place] {
        var places: [Place] = []
        for room in 0..<self.scenario.rooms {
            var number = 0
            for (index, group) in self.scenario.groups.enumerated() where group.publishes == publishes {
                for _ in 0..<group.count {
                    places.append(Place(room: room, group: index, number: number, publishes: publishes))
                    number += 1
                }
            }
        }
        return places
    }

    /// Publishers first: a WHEP session is bound to tracks that are there.
    func joinAll() async {
        await self.join(self.places(publishes: true))
        await self.join(self.places(publishes: false))
    }

    private func join(_ places: [Place]) async {
        await withDiscardingTaskGroup { group in
            let interval = Duration.seconds(1 / self.scenario.joinRate)
            var next = ContinuousClock.now
            for (index, place) in places.enumerated() {
                guard !Task.isCancelled else { return }
                // A server that does not keep up is not asked for more.
                while index - (self.finishedCount - self.finishedBefore(places)) >= Self.largestPending {
                    try? await Task.sleep(for: .milliseconds(5))
                    guard !Task.isCancelled else { return }
                }
                group.addTask { await self.joinOne(place) }
                next += interval
                try? await Task.sleep(until: next, clock: .continuous)
            }
        }
    }

    /// Subscribers come after all publishers.
    private func finishedBefore(_ places: [Place]) -> Int {
        places.first?.publishes == true ? 0 : self.scenario.rooms * self.scenario.publishersPerRoom
    }

    private func joinOne(_ place: Place) async {
        let participant = await self.joining.join(place)
        if let participant { self.members.withLock { $0.append(participant) } }
        self.finished.withLock { $0 += 1 }
    }

    // MARK: During the measurement

    /// Somebody leaves, and somebody else comes in their place, at the scenario's rate, until cancelled.
    func churn(_ churn: Scenario.Churn) async {
        await withDiscardingTaskGroup { group in
            let interval = Duration.seconds(1 / churn.rate)
            var next = ContinuousClock.now
            while true {
                next += interval
                do { try await Task.sleep(until: next, clock: .continuous) } catch { return }
                guard let participant = self.take(churn.who) else { continue }
                // The end of the churn cuts nobody's join short.
                group.addTask { await Task { await self.replace(participant) }.value }
            }
        }
    }

    private func replace(_ participant: Participant) async {
        await participant.leave()
        self.left.withLock { $0 += 1 }
        if let newcomer = await self.joining.join(participant.place) {
            self.members.withLock { $0.append(newcomer) }
        }
    }

    private func take(_ who: Scenario.Churn.Who) -> Participant? {
        self.members.withLock { members in
            let indices = members.indices.filter { index in
                switch who {
                case .everyone: true
                case .publishers: members[index].place.publishes
                case .subscribers: !members[index].place.publishes
                }
            }
            guard let index = self.random.withLock({ indices.randomElement(using: &$0) }) else { return nil }
            return members.remove(at: index)
        }
    }

    /// Somebody else speaks every so often, until cancelled.
    func speak(_ speakers: Scenario.Speakers) async {
        while !Task.isCancelled {
            let rooms = Dictionary(grouping: self.members.withLock { $0.filter(\.place.publishes) }, by: \.place.room)
            for room in rooms.keys.sorted() {
                let publishers = (rooms[room] ?? []).sorted { $0.place.number < $1.place.number }
                let order = self.random.withLock { publishers.shuffled(using: &$0) }
                for (position, participant) in order.enumerated() {
                    participant.setSpeaking(position < speakers.count, others: speakers.others)
                }
            }
            try? await Task.sleep(for: .nanoseconds(speakers.every.count))
        }
    }

    /// So many whom the server let wait in vain, one after the other, and the rest is not tried.
    private static let mostDeafLeaves = 8

    /// All go, many at a time.
    ///
    /// - Returns: whether the server was there for any of them.
    func leaveAll() async -> Bool {
        let members = self.members.withLock { members in
            defer { members = [] }
            return members
        }
        return await withTaskGroup(of: Bool.self) { group in
            var deafInARow = 0
            var heard = 0
            func note(_ isHeard: Bool) {
                deafInARow = isHeard ? 0 : deafInARow + 1
                if isHeard { heard += 1 }
            }
            for (index, member) in members.enumerated() {
                if index >= 64, let isHeard = await group.next() { note(isHeard) }
                // Its media ends without a goodbye, as everything of a server that is gone.
                guard deafInARow < Self.mostDeafLeaves else { break }
                group.addTask { await member.leave() }
            }
            while let isHeard = await group.next() { note(isHeard) }
            return heard > 0 || members.isEmpty
        }
    }
}
