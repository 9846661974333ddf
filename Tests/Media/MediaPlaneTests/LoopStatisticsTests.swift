import Testing

@testable import MediaPlane

@Suite struct LoopStatisticsTests {
    @Test func `what sockets drop is counted by itself, over the turn of the kernel's count`() {
        var statistics = LoopStatistics()
        let steps: [(count: UInt32, socket: Int, dropped: UInt64)] = [
            (0, 0, 0), (5, 0, 5), (0, 0, 5), (5, 0, 5), (3, 1, 8), (2_000_000_000, 0, 2_000_000_003),
            (4_000_000_000, 0, 4_000_000_003), (10, 0, 4_000_000_003 + 294_967_306), (11, 0, 4_294_967_310),
            // A late batch's older count.
            (9, 0, 4_294_967_310), (7, 32, 4_294_967_310),
        ]
        for step in steps {
            statistics.socketDropped(step.count, socket: step.socket)
            #expect(statistics.dropped == step.dropped, "\(step)")
        }
    }
}
