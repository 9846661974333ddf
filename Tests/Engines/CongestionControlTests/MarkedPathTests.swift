import Basics
import CongestionControl
import RTP
import Testing

@Suite struct MarkedPathTests {
    /// What the network does to a marked packet; `nil` = it is lost.
    private typealias Network = (Int) -> ECNMark?

    /// Sends packets, one in 10 ms; feedback about each comes at once.
    /// - Returns: which of them left marked.
    @discardableResult
    private func send(
        _ count: Int,
        over path: inout MarkedPath,
        from start: Instant = .zero,
        _ network: Network
    ) -> [Bool] {
        (0..<count).map { index in
            let now = start + .milliseconds(Int64(index) * 10)
            let isMarked = path.takeNext(at: now)
            guard isMarked else { return false }
            if let mark = network(index) { path.received(mark, at: now) } else { path.lost() }
            return true
        }
    }

    @Test func `one packet in four is marked until eight marks have arrived, then all`() {
        var path = MarkedPath(isWanted: true)
        let marked = self.send(64, over: &path) { _ in .capable1 }
        #expect(path.state == .capable)
        #expect(marked[..<32].count { $0 } == 8)
        #expect(marked[32...].allSatisfy { $0 })
    }

    @Test func `a congestion mark proves the path as well`() {
        var path = MarkedPath(isWanted: true)
        self.send(64, over: &path) { _ in .congestionExperienced }
        #expect(path.state == .capable)
    }

    @Test(arguments: [ECNMark.notCapable, .capable0])
    func `a path that clears or changes marks is sent no more of them`(
        mark: ECNMark
    ) {
        var path = MarkedPath(isWanted: true)
        let marked = self.send(200, over: &path) { _ in mark }
        #expect(path.state == .bleached)
        #expect(marked.count { $0 } == 8)
    }

    @Test func `a path that drops what is marked is sent no more of it`() {
        var path = MarkedPath(isWanted: true)
        let marked = self.send(400, over: &path) { _ in nil }
        #expect(path.state == .dropped)
        #expect(marked.count { $0 } == 16)
    }

    @Test func `losses of an ordinary path do not count`() {
        var path = MarkedPath(isWanted: true)
        self.send(400, over: &path) { $0 % 16 == 3 ? .capable1 : nil }
        #expect(path.state == .capable)
        // One datagram in twenty loses its mark on the way: another route for a moment.
        self.send(400, over: &path, from: .zero + .seconds(4)) { $0 % 20 == 0 ? .notCapable : .capable1 }
        #expect(path.state == .capable)
    }

    @Test func `a proven path that begins to clear marks is noticed`() {
        var path = MarkedPath(isWanted: true)
        self.send(64, over: &path) { _ in .capable1 }
        let marked = self.send(100, over: &path, from: .zero + .milliseconds(700)) { _ in .notCapable }
        #expect(path.state == .bleached)
        #expect(marked.count { $0 } == 32)
    }

    @Test func `a proven path that falls silent is tried anew with one packet in four`() {
        var path = MarkedPath(isWanted: true)
        self.send(64, over: &path) { _ in .capable1 }
        let marked = self.send(400, over: &path, from: .zero + .milliseconds(650)) { _ in nil }
        // Until a second after the last mark that was heard of all are marked; then sixteen more.
        #expect(marked.count { $0 } == 99 + 16)
        #expect(path.state == .dropped)
    }

    @Test func `another route is another path`() {
        var path = MarkedPath(isWanted: true)
        self.send(200, over: &path) { _ in .notCapable }
        path.routeChanged()
        #expect(path.state == .trying)
        self.send(64, over: &path, from: .zero + .seconds(3)) { _ in .capable1 }
        #expect(path.state == .capable)
    }

    @Test func `nothing is marked that nobody asked for`() {
        var path = MarkedPath(isWanted: false)
        path.routeChanged()
        #expect(self.send(100, over: &path) { _ in .capable1 }.allSatisfy { !$0 })
        #expect(path.state == .off)
    }
}
