import LoadClient

/// CPU time that this client has used so far, in seconds.
package struct ClientUse: Sendable {
    /// Of each loop's thread: it ran, and it could have run and had no core.
    package var threads: [(running: Double, waiting: Double)] = []
    /// Of all threads of the process: those of the signalling too.
    package var process = 0.0

    package init() {}
}

/// How busy this client was: whether what it says of a server may be its own doing.
package struct ClientLoad: Sendable, Equatable {
    /// Above that, a client's figures are no longer the server's alone.
    package static let most = 0.8

    /// Of the busiest thread, which is the one that ran and waited for a core for the largest share of the time.
    package var running = 0.0
    package var waiting = 0.0
    /// CPU time of the process, of all cores that it may use.
    package var process = 0.0

    package init() {}

    /// - Parameter cores: on which this process may run.
    package init(
        from earlier: ClientUse,
        to later: ClientUse,
        seconds: Double,
        cores: Int = SystemFiles.allowedCores()
    ) {
        let seconds = max(seconds, 0.001)
        for (index, thread) in later.threads.enumerated() {
            let before = index < earlier.threads.count ? earlier.threads[index] : (running: 0, waiting: 0)
            let running = (thread.running - before.running) / seconds
            let waiting = (thread.waiting - before.waiting) / seconds
            guard running + waiting > self.running + self.waiting else { continue }
            (self.running, self.waiting) = (running, waiting)
        }
        self.process = (later.process - earlier.process) / seconds / Double(max(cores, 1))
    }

    /// 1 = nothing more is possible.
    package var share: Double { max(self.running + self.waiting, self.process) }
    package var isTooHigh: Bool { self.share > Self.most }
}
