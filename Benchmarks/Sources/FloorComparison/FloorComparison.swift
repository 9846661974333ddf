import CTraffic
import Glibc
import LoopbackPeers

/// The server's hot path against the floor: the same packets through both in turn, CPU for each forwarded packet.
///
///     FloorComparison FLOOR-PROGRAM evp|ipsec-mb [ROUNDS [audio|video]]
///
/// The forwarders have core 0 to themselves; source and sinks are on core 1. The ratio is the median of each round's.
@main
enum FloorComparison {
    static func main() async {
        let arguments = CommandLine.arguments
        guard arguments.count >= 3 else {
            print("usage: FloorComparison FLOOR-PROGRAM evp|ipsec-mb [ROUNDS [audio|video]]")
            exit(2)
        }
        let rounds = arguments.count > 3 ? Int(arguments[3]) ?? 15 : 15
        do {
            print(
                "cipher: \(arguments[2]), AES-128-GCM; \(rounds) rounds; nanoseconds of CPU for each forwarded packet"
            )
            let wanted = arguments.count > 4 ? arguments[4] : ""
            // Video last: the last line is its ratio.
            for (name, scenario) in [("audio", Scenario.audio), ("video", .video)]
            where wanted.isEmpty || wanted == name {
                let ratio = try await Self.compare(
                    scenario,
                    program: arguments[1],
                    cipher: arguments[2],
                    rounds: rounds
                )
                print("\(name == "video" ? "" : "\(name) ")ratio \(Figures.hundredths(ratio))")
            }
        } catch {
            print("error: \(error)")
            exit(1)
        }
    }

    private static func compare(
        _ scenario: Scenario,
        program: String,
        cipher: String,
        rounds: Int
    ) async throws -> Double {
        let floor = try Floor(scenario, program: program, cipher: cipher)
        let server = try await MeasuredServer(scenario, cipher: cipher)
        let traffic = [Traffic(scenario, through: floor), Traffic(scenario, through: server)]
        // Once through everything that is made on first use.
        for traffic in traffic { _ = traffic.run(packets: scenario.packets / 4) }
        var results: [[RoundResult]] = [[], []]
        for round in 0..<rounds {
            // Each goes first every other time.
            for place in [round & 1, 1 - round & 1] {
                results[place].append(traffic[place].run(packets: scenario.packets))
            }
            server.refresh()
        }
        await server.stop()
        print(scenario.name)
        for (name, results) in zip(["  floor ", "  server"], results) {
            let cost = Figures.median(results.map(\.nanosecondsPerPacket))
            let group = Figures.median(results.map(\.packetsPerMessage))
            let lost = results.reduce(0) { $0 + $1.lost }
            print("\(name)  \(Int(cost.rounded())) ns, \(Figures.hundredths(group)) packets a message, \(lost) lost")
        }
        let ratios = zip(results[0], results[1]).map { $1.nanosecondsPerPacket / $0.nanosecondsPerPacket }
        let sorted = ratios.sorted()
        print(
            "  ratio   \(Figures.hundredths(Figures.median(ratios))) (\(Figures.hundredths(sorted[0])) to \(Figures.hundredths(sorted[sorted.count - 1])))"
        )
        return Figures.median(ratios)
    }
}
