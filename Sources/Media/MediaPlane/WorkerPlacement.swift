/// What a worker has to do, as far as it matters to who comes next.
struct WorkerLoad: Sendable, Equatable {
    /// Of its time in the last second, 0...1,000.
    var busyPermille = 0
    /// The sessions that it had when that was measured.
    var measuredSessions = 0
    /// The sessions that it has by now, with those that are on their way to it.
    var sessions = 0

    /// What share of its time it will be busy for, in thousandths, once those who are new do as those who were there. At
    /// least two for each session: of a thousand who have just come and wait for the show, each will want to see it.
    var expectedPermille: Int {
        let each = self.measuredSessions > 0 ? self.busyPermille / self.measuredSessions : 0
        let new = max(0, self.sessions - self.measuredSessions)
        let expected = self.busyPermille + new * max(each, Self.leastPermillePerSession)
        return max(expected, self.sessions * Self.leastPermillePerSession)
    }

    static let leastPermillePerSession = 2
}

/// Which worker a room begins on, and which one each of its sessions goes to.
///
/// A room stays on one worker while that has time: what crosses between workers is work done twice. When it has grown
/// too large, those who come next go to a second worker until that has as much to do, and so on. Nobody is moved: a
/// session is reached at its worker's port, which the client was told.
struct WorkerPlacement: Sendable {
    /// A worker that is expected to be busier than this gets no more sessions while another of the room's has time.
    var fullPermille = 500
    /// A room goes to one more worker only where that has so much less to do; else its sessions would be strewn over all
    /// workers as soon as all have about the same to do.
    var marginPermille = 100

    /// The worker with the least to do; of equals the first one from `start` on.
    ///
    /// - Parameters:
    ///   - loads: by worker; at least one.
    ///   - start: another one each time: sessions come only after their room's place was found.
    func workerForRoom(_ loads: [WorkerLoad], from start: Int) -> Int {
        let order = loads.indices.map { (start + $0) % loads.count }
        return order.min { loads[$0].expectedPermille < loads[$1].expectedPermille } ?? 0
    }

    /// The worker for the next session of a room.
    ///
    /// - Parameters:
    ///   - home: where the room began.
    ///   - present: the workers that have sessions of the room.
    ///   - loads: by worker.
    func workerForSession(home: Int, present: Set<Int>, loads: [WorkerLoad]) -> Int {
        let own = [home] + present.subtracting([home]).sorted()
        func load(_ worker: Int) -> Int { loads[worker].expectedPermille }
        if let free = own.first(where: { load($0) < self.fullPermille }) { return free }
        let leastOfOwn = own.min { load($0) < load($1) } ?? home
        let others = loads.indices.filter { !own.contains($0) }
        guard let least = others.min(by: { load($0) < load($1) }), load(least) + self.marginPermille <= load(leastOfOwn)
        else { return leastOfOwn }
        return least
    }
}
