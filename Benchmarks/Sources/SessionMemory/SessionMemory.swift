import CHeap
import Glibc

/// What one session keeps, in the heap and resident, and that all of it comes back. Fails over the limits.
///
/// `SessionMemory [SESSIONS]`: how many of each kind are made, 400 unless said and at most: consent lasts 30 s, which
/// is how long so many take to connect, in virtual time. Each is connected by ICE and DTLS to a client of its own that
/// is gone before anything is counted.
@main
enum SessionMemory {
    static func main() {
        let count = CommandLine.arguments.dropFirst().first.flatMap(Int.init) ?? 400
        guard (1...400).contains(count) else { fatalError("SessionMemory [SESSIONS]") }
        print("what\tKiB of heap\tKiB resident\tof\tlimit")
        let isFit = [
            Measurement.associations(count, carryData: true), Measurement.associations(count, carryData: false),
            Measurement.protection(count, isFast: false), Measurement.protection(count, isFast: true),
            Measurement.subscribers(count),
            Measurement.publishers(max(count / 10, 1)),
        ].allSatisfy { $0 }
        exit(isFit ? 0 : 1)
    }
}

/// What the process holds at one moment, in bytes.
struct Holding {
    let heap: Int64
    let resident: Int64

    static func now() -> Holding {
        // What malloc keeps for later belongs to nobody.
        heap_trim()
        return Holding(heap: Int64(heap_bytes_in_use()), resident: Int64(resident_bytes()))
    }

    static func - (left: Holding, right: Holding) -> Holding {
        Holding(heap: left.heap - right.heap, resident: left.resident - right.resident)
    }
}

enum Measurement {
    /// Prints what each of `count` holds. Returns whether that is within the limit, in KiB resident.
    static func report(_ what: String, _ holding: Holding, of count: Int, limit: Double? = nil) -> Bool {
        func kibibytes(_ bytes: Int64) -> Double { Double(bytes) / 1_024 / Double(count) }
        func text(_ value: Double) -> String {
            let tenths = Int((value * 10).rounded())
            return "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)"
        }
        let resident = kibibytes(holding.resident)
        let isFit = limit.map { resident <= $0 } ?? true
        let verdict = limit.map { "\(isFit ? "" : "FAILED, ")\(text($0))" } ?? ""
        print("\(what)\t\(text(kibibytes(holding.heap)))\t\(text(resident))\t\(count)\t\(verdict)")
        return isFit
    }
}
