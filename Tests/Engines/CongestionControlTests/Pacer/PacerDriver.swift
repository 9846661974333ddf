import Basics
import CongestionControl

/// A shell around a pacer, in virtual time: does at once whatever the pacer says, and notes what left and when.
struct PacerDriver: ~Copyable {
    enum Kind: Equatable { case media, padding }

    struct Departure {
        var at: Instant
        var byteCount: Int
        var probe: UInt16
        var kind: Kind
        /// How long it waited; zero for padding.
        var waited: Nanoseconds
    }

    var pacer: Pacer<Int>
    var now: Instant
    /// The shell has something to pad with.
    var canPad = true
    private(set) var departures: [Departure] = []
    private(set) var refused = 0
    private var packets: [(byteCount: Int, at: Instant)] = []
    private var next = Instant.distantFuture

    init(capacity: Int = 1_024, at now: Instant = .zero) {
        self.pacer = Pacer(capacity: capacity, at: now)
        self.pacer.overhead = 0
        self.now = now
    }

    mutating func send(_ kind: PacedKind, byteCount: Int) {
        self.packets.append((byteCount, self.now))
        let verdict = self.pacer.admit(kind, byteCount: byteCount, reference: self.packets.count - 1, at: self.now)
        switch verdict {
        case .sendNow: self.depart(byteCount, self.pacer.currentProbe, .media, .zero)
        case .queued: self.turn()
        case .refused: self.refused += 1
        }
    }

    /// Does what is due now.
    mutating func turn() {
        for _ in 0..<100_000 {
            switch self.pacer.next(at: self.now) {
            case .packet(let reference, let probe):
                let packet = self.packets[reference]
                self.depart(packet.byteCount, probe, .media, self.now - packet.at)
            case .padding(let byteCount, let probe):
                guard self.canPad else { continue }
                self.pacer.sent(byteCount: byteCount, kind: .padding, at: self.now)
                self.depart(byteCount, probe, .padding, .zero)
            case .wait(let until):
                self.next = until
                return
            }
        }
        fatalError("the pacer never waits")
    }

    mutating func run(until end: Instant) {
        self.turn()
        while self.next <= end {
            self.now = max(self.next, self.now)
            self.turn()
        }
        self.now = end
        self.turn()
    }

    mutating func run(for duration: Nanoseconds) { self.run(until: self.now + duration) }

    private mutating func depart(_ byteCount: Int, _ probe: UInt16, _ kind: Kind, _ waited: Nanoseconds) {
        self.departures.append(
            Departure(at: self.now, byteCount: byteCount, probe: probe, kind: kind, waited: waited)
        )
    }
}
