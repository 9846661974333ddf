import Basics
import LoadClient

/// Runs a scenario once.
package struct ScenarioRun: Sendable {
    private let scenario: Scenario
    private let target: RunTarget
    private let onProgress: @Sendable (RunProgress) -> Void

    /// - Parameter onProgress: once a second.
    package init(_ scenario: Scenario, on target: RunTarget, onProgress: @escaping @Sendable (RunProgress) -> Void) {
        self.scenario = scenario
        self.target = target
        self.onProgress = onProgress
    }

    /// Joins everybody, waits, measures, and lets everybody go. When cancelled, it reports what there is.
    ///
    /// - Throws: when there is no socket for the clients; what goes wrong later is in the report.
    package func run() async throws -> RunReport {
        let memoryBefore = ProcessLimits.residentBytes()
        let receiving = try (0..<self.scenario.threads).map { _ in try ClientLoop(bindingTo: self.target.bind) }
        let publishing = self.scenario.transport == .whip ? try ClientLoop(bindingTo: self.target.bind) : receiving[0]
        let loops = self.scenario.transport == .whip ? receiving + [publishing] : receiving
        defer { for loop in loops { loop.stop() } }
        let joining = Joining(
            scenario: self.scenario,
            target: self.target,
            loops: receiving,
            publishing: publishing
        )
        let crowd = Crowd(scenario: self.scenario, joining: joining)
        var timeline = Timeline(loops: loops, figures: self.target.figures)

        let began = ContinuousClock.now
        let everybody = Task { await crowd.joinAll() }
        let speaking = self.scenario.speakers.map { speakers in Task { await crowd.speak(speakers) } }
        while crowd.finishedCount < self.scenario.participants, !Task.isCancelled {
            await self.sample(&timeline, .joining, crowd, until: .now + .seconds(1)) {
                crowd.finishedCount >= self.scenario.participants
            }
        }
        if Task.isCancelled { everybody.cancel() }
        await everybody.value
        let joinSeconds = (ContinuousClock.now - began) / .seconds(1)
        await self.sample(&timeline, .settling, crowd, until: .now + .nanoseconds(self.scenario.settle.count)) { false }
        if timeline.points.isEmpty { await timeline.tick(.settling) }
        timeline.beginMeasurement()
        let churning = self.scenario.churn.map { churn in Task { await crowd.churn(churn) } }
        let end = ContinuousClock.now + .nanoseconds(self.scenario.duration.count)
        await self.sample(&timeline, .measuring, crowd, until: end) { false }
        let memory = ProcessLimits.residentBytes()
        churning?.cancel()
        speaking?.cancel()
        if let churning {
            await churning.value
            // Whoever came last is still connecting.
            try? await Task.sleep(for: .seconds(1))
        }

        var peers: [PeerReport] = []
        for loop in loops { peers += await loop.reports().values }
        let report = RunReport(
            scenario: self.scenario,
            timeline: timeline,
            peers: peers,
            failed: joining.failed,
            joinSeconds: joinSeconds,
            leftCount: crowd.leftCount,
            clientBytes: max(0, memory - memoryBefore)
        )
        // Whoever ends a run early still leaves no sessions behind.
        await Task { await crowd.leaveAll() }.value
        return report
    }

    /// Ticks once a second until the time, or until there is nothing to wait for.
    private func sample(
        _ timeline: inout Timeline,
        _ phase: TimelinePoint.Phase,
        _ crowd: Crowd,
        until end: ContinuousClock.Instant,
        _ isDone: () -> Bool
    ) async {
        while !Task.isCancelled, !isDone() {
            let now = ContinuousClock.now
            guard now < end else { return }
            // No interval is so short that its rates say nothing.
            let next = end - now < .milliseconds(1_300) ? end : now + .seconds(1)
            while .now < next, !isDone(), !Task.isCancelled {
                try? await Task.sleep(until: min(.now + .milliseconds(100), next), clock: .continuous)
            }
            if .now < next, timeline.age < .milliseconds(300) { return }
            await timeline.tick(phase)
            guard let point = timeline.points.last else { return }
            self.onProgress(
                RunProgress(
                    scenario: self.scenario.name,
                    point: point,
                    joined: crowd.finishedCount,
                    participants: self.scenario.participants,
                    remaining: phase == .joining ? nil : max(0, (end - .now) / .seconds(1))
                )
            )
        }
    }
}
