import Basics
import Foundation
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
        let startedAt = Date.now.ISO8601Format()
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
        var endedEarly: String?
        var hopelessSince: ContinuousClock.Instant?
        while crowd.finishedCount < self.scenario.participants, !Task.isCancelled, endedEarly == nil {
            await self.sample(&timeline, .joining, joining, crowd, until: .now + .seconds(1)) {
                crowd.finishedCount >= self.scenario.participants
            }
            if self.isHopeless(crowd) {
                let since = hopelessSince ?? .now
                hopelessSince = since
                // Some that began before these may still succeed.
                if .now - since > Self.hopelessTime { endedEarly = self.givenUp(crowd) }
            }
        }
        if endedEarly == nil, self.isHopeless(crowd) { endedEarly = self.givenUp(crowd) }
        if Task.isCancelled || endedEarly != nil { everybody.cancel() }
        await everybody.value
        let joinSeconds = (ContinuousClock.now - began) / .seconds(1)
        let settled = ContinuousClock.now + .nanoseconds(self.scenario.settle.count)
        await self.sample(&timeline, .settling, joining, crowd, until: settled) { endedEarly != nil }
        if timeline.points.isEmpty { await timeline.tick(.settling) }
        timeline.beginMeasurement()
        let churning = self.scenario.churn.map { churn in Task { await crowd.churn(churn) } }
        let end = ContinuousClock.now + .nanoseconds(self.scenario.duration.count)
        await self.sample(&timeline, .measuring, joining, crowd, until: end) { endedEarly != nil }
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
        if Task.isCancelled { endedEarly = "interrupted: not everything that the scenario asks for was done" }
        var report = RunReport(
            scenario: self.scenario,
            timeline: timeline,
            peers: peers,
            failed: joining.failed,
            joinSeconds: joinSeconds,
            leftCount: crowd.leftCount,
            clientBytes: max(0, memory - memoryBefore)
        )
        report.startedAt = startedAt
        report.serverAddress = self.target.server.description
        report.figuresSource = self.target.figuresSource
        // Whoever ends a run early still leaves no sessions behind.
        let isHeard = await Task { await crowd.leaveAll() }.value
        // A server behind a proxy may be out of reach at the Location that it gives.
        if endedEarly == nil, !isHeard, await !self.target.isThere() {
            endedEarly = "the server \(self.target.server) was gone at the end of the run"
        }
        if endedEarly == nil, report.streams == 0, self.scenario.receives {
            endedEarly = "nobody received anything: no m-line got a track"
        }
        report.endedEarly = endedEarly
        return report
    }

    /// So many joins must have failed, and none succeeded, to end a run of more.
    private static let enoughFailures = 20
    /// And for so long.
    private static let hopelessTime = Duration.seconds(3)

    /// Whether there is no use in going on: wrong addresses and tokens let every join fail.
    private func isHopeless(_ crowd: Crowd) -> Bool {
        crowd.joinedCount == 0 && crowd.finishedCount >= min(Self.enoughFailures, self.scenario.participants)
    }

    private func givenUp(_ crowd: Crowd) -> String {
        "given up: \(crowd.finishedCount) joins failed, and none succeeded"
    }

    /// Ticks once a second until the time, or until there is nothing to wait for.
    private func sample(
        _ timeline: inout Timeline,
        _ phase: TimelinePoint.Phase,
        _ joining: Joining,
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
            var progress = RunProgress(
                scenario: self.scenario.name,
                point: point,
                joined: crowd.joinedCount,
                participants: self.scenario.participants,
                remaining: phase == .joining ? nil : max(0, (end - .now) / .seconds(1))
            )
            let failed = joining.failed
            progress.failures = failed.count
            progress.failure = failed.texts.first
            self.onProgress(progress)
        }
    }
}
