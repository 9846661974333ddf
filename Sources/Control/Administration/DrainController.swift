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

    /// Stops joins and tells everybody. Returns the deadline, in seconds since 1970; the same one when called again.
    @discardableResult
    package func begin() async -> Int64 {
        self.isDrainingNow.store(true, ordering: .releasing)
        await self.directory.drain(deadline: self.secondsSince1970() + self.timeout.components.seconds)
        return await self.directory.drainDeadline ?? 0
    }

    /// Begins, and ends the rooms that are left when the time is over: nobody waits for it. Returns the deadline.
    package func beginAlone() async -> Int64 {
        let isFirst = !self.isDraining
        let deadline = await self.begin()
        if isFirst {
            Task {
                if await !self.drain() { await self.directory.stop() }
            }
        }
        return deadline
    }

    /// Begins, and returns when nobody is left or the time is over, which the first to begin has set. Returns whether
    /// everybody had gone.
    package func drain(clock: some Clock<Duration> = ContinuousClock()) async -> Bool {
        var time = self.timeout
        if self.isDraining {
            let deadline = await self.directory.drainDeadline ?? 0
            time = min(time, .seconds(max(0, deadline - self.secondsSince1970())))
        }
        let end = clock.now.advanced(by: time)
        await self.begin()
        self.logger.notice("draining", metadata: ["timeout": "\(self.timeout)"])
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
