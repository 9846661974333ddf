package import Logging
package import Rooms
import Synchronization

/// Empties the server before it stops: nobody comes in, everybody is told, and the calls that run get their time.
package final class DrainController: Sendable {
    private let directory: RoomDirectory
    private let timeout: Duration
    private let secondsSince1970: @Sendable () -> Int64
    private let logger: Logger
    private let isDrainingNow = Atomic<Bool>(false)

    /// - Parameters:
    ///   - timeout: `drain.timeout`.
    ///   - secondsSince1970: the time of day, for the deadline that clients are told.
    package init(
        directory: RoomDirectory,
        timeout: Duration = .seconds(30),
        secondsSince1970: @escaping @Sendable () -> Int64,
        logger: Logger
    ) {
        self.directory = directory
        self.timeout = timeout
        self.secondsSince1970 = secondsSince1970
        self.logger = logger
    }

    /// From the first `drain` on; `/readyz` says 503.
    package var isDraining: Bool { self.isDrainingNow.load(ordering: .acquiring) }

    /// Stops joins, tells everybody, and ends the rooms that are left at the deadline. Returns that, in seconds since 1970;
    /// the same one when called again.
    @discardableResult
    package func drainInBackground() async -> Int64 {
        let start = await self.start()
        if start.isFirst {
            Task {
                if await !self.wait(for: self.timeout, clock: ContinuousClock()) { await self.directory.stop() }
            }
        }
        return start.deadline
    }

    /// Begins, and returns when nobody is left or the time is over, which the first to begin has set. Returns whether
    /// everybody had gone.
    package func drain(clock: some Clock<Duration> = ContinuousClock()) async -> Bool {
        let start = await self.start()
        let left = Duration.seconds(max(0, start.deadline - self.secondsSince1970()))
        return await self.wait(for: start.isFirst ? self.timeout : min(self.timeout, left), clock: clock)
    }

    private func start() async -> (isFirst: Bool, deadline: Int64) {
        let isFirst = !self.isDrainingNow.exchange(true, ordering: .acquiringAndReleasing)
        await self.directory.drain(deadline: self.secondsSince1970() + self.timeout.components.seconds)
        return (isFirst, await self.directory.drainDeadline ?? 0)
    }

    private func wait(for time: Duration, clock: some Clock<Duration>) async -> Bool {
        let end = clock.now.advanced(by: time)
        self.logger.notice("draining", metadata: ["timeout": "\(time)"])
        while true {
            let remaining = await self.directory.participantCount
            guard remaining > 0 else { return true }
            guard clock.now < end else {
                self.logger.notice("the time to drain is over", metadata: ["participants": "\(remaining)"])
                return false
            }
            do {
                try await clock.sleep(until: min(end, clock.now.advanced(by: .milliseconds(100))), tolerance: nil)
            } catch {
                return false
            }
        }
    }
}
