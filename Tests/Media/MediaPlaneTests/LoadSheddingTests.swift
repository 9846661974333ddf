import Basics
import Testing

@testable import MediaPlane

/// Half a second a row: the waits of the reads in it, in milliseconds.
@Suite struct LoadSheddingTests {
    private struct Worker {
        var shedding = LoadShedding()
        var now = Instant.zero + .seconds(100)

        /// - Parameter waits: of each interval, the least of its reads; some lie longer.
        mutating func goOn(_ waits: [Int64], reads: Int = 10, canReduce: Bool = false) {
            for wait in waits {
                for read in 0..<reads {
                    let some = read == reads / 2 ? wait : wait + 30
                    self.shedding.note(wait: .milliseconds(some), queue: 0)
                }
                self.now = self.now + LoadShedding.interval
                self.shedding.update(canReduce: canReduce, at: self.now)
            }
        }

        mutating func goOn(_ wait: Int64, seconds: Int) { self.goOn(Array(repeating: wait, count: seconds * 2)) }

        var paused: Int { Int((self.shedding.paused * 100).rounded()) }
        var reduced: Int { Int((self.shedding.reduced * 100).rounded()) }
    }

    @Test(
        arguments: [
            // A queue has to stand for two intervals.
            ([51], 0), ([51, 51], 10), ([50, 50, 50], 0), ([400, 0, 400, 0], 0),
            // One that does not shrink as it should is too long, one that does is waited for.
            ([200, 200], 10), ([200, 200, 200], 20), ([200, 200, 169], 10), ([200, 200, 169, 143, 120, 60, 51], 10),
            ([400, 200], 0), ([2_000, 900, 300], 0), ([200, 200, 171], 20), ([200, 200, 160, 160], 20),
            ([200, 200, 49, 51, 52], 20),
            // Never more than all.
            (Array(repeating: 300, count: 20), 100),
        ] as [([Int64], Int)]
    )
    func `videos are left out while a queue stands and does not shrink`(waits: [Int64], paused: Int) {
        var worker = Worker()
        worker.goOn(waits)
        #expect(worker.paused == paused)
        #expect(worker.reduced == 0)
    }

    @Test func `where there are smaller layers those are taken first`() {
        var worker = Worker()
        worker.goOn([100, 100, 100, 100, 100], canReduce: true)
        #expect(worker.reduced == 100 && worker.paused == 0)
        worker.goOn([100], canReduce: true)
        #expect(worker.reduced == 100 && worker.paused == 10)
        // They come back last, a twentieth in half a second.
        worker.goOn(0, seconds: 5)
        #expect(worker.reduced == 100 && worker.paused == 8)
        worker.goOn(0, seconds: 2)
        #expect(worker.reduced == 100 && worker.paused == 0)
        worker.goOn(0, seconds: 5)
        #expect(worker.reduced == 50)
        worker.goOn(0, seconds: 5)
        #expect(!worker.shedding.isOn)
    }

    @Test func `all comes back, two hundredths in half a second`() {
        var worker = Worker()
        worker.goOn(Array(repeating: 300, count: 11))
        #expect(worker.paused == 100)
        worker.goOn(0, seconds: 5)
        #expect(worker.paused == 98)
        worker.goOn(0, seconds: 24)
        #expect(worker.paused == 2)
        worker.goOn([0])
        #expect(!worker.shedding.isOn)
    }

    @Test func `a few reads say something after two seconds only`() {
        var worker = Worker()
        worker.goOn([300, 300, 300, 300, 300, 300, 300], reads: 1)
        #expect(worker.paused == 0)
        worker.goOn([300], reads: 1)
        #expect(worker.paused == 10)
        // And nothing comes back while they wait long.
        worker.goOn(Array(repeating: 300, count: 40), reads: 1)
        #expect(worker.paused == 100)
    }

    @Test(arguments: [1, 11, LoadShedding.rings])
    func `a queue that stands counts, whatever the others do`(queue: Int) {
        var worker = Worker()
        func goOn(_ wait: Int64) {
            for _ in 0..<4 { worker.shedding.note(wait: .milliseconds(wait), queue: queue) }
            worker.goOn([0])
        }
        for _ in 0..<3 { goOn(200) }
        #expect(worker.paused == 20)
        // Of what is not known yet, the others' short waits do not decide either.
        for _ in 0..<40 {
            worker.shedding.note(wait: .milliseconds(30), queue: queue)
            worker.goOn([0])
        }
        #expect(worker.paused == 20)
        for _ in 0..<40 { goOn(0) }
        #expect(worker.paused == 0)
    }

    @Test func `nothing to read is no queue`() {
        var worker = Worker()
        worker.goOn([100, 100])
        worker.goOn(Array(repeating: 0, count: 30), reads: 0)
        #expect(!worker.shedding.isOn)
    }

    @Test(arguments: [(0, 0), (19, 0), (20, 10), (50, 10)] as [(Int64, Int)])
    func `what was left out comes back when hardly anything waits`(wait: Int64, paused: Int) {
        var worker = Worker()
        worker.goOn([100, 100])
        worker.goOn(wait, seconds: 8)
        #expect(worker.paused == paused)
    }

    @Test func `after each time that too much came back, it comes back later`() {
        var worker = Worker()
        worker.goOn([100, 100])
        var seconds: [Int] = []
        for _ in 0..<6 {
            var count = 0
            let before = worker.paused
            while worker.paused == before, count < 200 {
                worker.goOn(0, seconds: 1)
                count += 1
            }
            seconds.append(count)
            worker.goOn([100, 100])
        }
        #expect(seconds == [5, 10, 20, 40, 80, 80])
        // Long after, it is tried soon again.
        worker.goOn(0, seconds: 300)
        #expect(!worker.shedding.isOn)
        worker.goOn([100, 100])
        #expect(worker.paused == 10)
        worker.goOn(0, seconds: 5)
        #expect(worker.paused == 8)
    }

    @Test func `what nobody looks at in particular is taken first, and always the same`() {
        var order = SheddingOrder()
        for weight in [1, 1, 1, 1, 4, 2, 8, 8] as [Float] { order.count(weight: weight) }
        func taken(_ share: Double) -> [Int] {
            [(Float(1), 4), (4, 2), (8, 2)].map { weight, count in
                (0..<count).count { order.takes(share: share, weight: weight, place: Double($0) / Double(count)) }
            }
        }
        #expect(taken(0) == [0, 0, 0])
        #expect(taken(0.25) == [2, 0, 0])
        #expect(taken(0.5) == [4, 0, 0])
        #expect(taken(0.75) == [4, 2, 0])
        #expect(taken(0.875) == [4, 2, 1])
        #expect(taken(1) == [4, 2, 2])
        // Of what was not counted yet.
        #expect(SheddingOrder().takes(share: 0.5, weight: 1, place: 0.4))
        #expect(!SheddingOrder().takes(share: 0.5, weight: 1, place: 0.6))
    }
}
