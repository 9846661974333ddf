import CTraffic
import Glibc
import LoopbackPeers

/// Whether two media workers forward twice what one does: a room of which all subscribers are on one worker, and the same
/// room with half of them on another, in turn.
///
///     WorkerScaling evp|ipsec-mb [ROUNDS]
///
/// The first worker has core 0, the second core 1; the source is on core 2 or, where there is none, beside the second
/// worker. Publishers are on the first worker: what the second forwards has crossed a ring. Printed are two ratios, the
/// medians of all rounds': of packets in a second of time, which the source and the host share in, and of packets in a
/// second of a worker's CPU, times two.
@main
enum WorkerScaling {
    static func main() async {
        let arguments = CommandLine.arguments
        guard arguments.count >= 2 else {
            print("usage: WorkerScaling evp|ipsec-mb [ROUNDS]")
            exit(2)
        }
        let rounds = arguments.count > 2 ? Int(arguments[2]) ?? 11 : 11
        do {
            print("cipher: \(arguments[1]), AES-128-GCM; \(rounds) rounds; packets a second to all subscribers")
            // More of audio on its way than for the floor: packets are small, and two workers are to find some.
            var audio = Scenario.audio
            audio.window *= 3
            // Video last: the last line is its ratio.
            for (name, scenario) in [("audio ", audio), ("", .video)] {
                let ratios = try await Self.compare(scenario, cipher: arguments[1], rounds: rounds)
                print("\(name)ratio by CPU \(Figures.hundredths(ratios.byCPU))")
                print("\(name)ratio \(Figures.hundredths(ratios.byTime))")
            }
        } catch {
            print("error: \(error)")
            exit(1)
        }
    }

    private static func compare(_ scenario: Scenario, cipher: String, rounds: Int) async throws -> (
        byTime: Double, byCPU: Double
    ) {
        var servers: [SaturatedServer] = []
        for cores: [CInt] in [[0], [0, 1]] {
            servers.append(try await SaturatedServer(scenario, cipher: cipher, cores: cores))
        }
        // Once through everything that is made on first use.
        for server in servers { _ = try server.run(packets: scenario.packets / 4) }
        var results: [[SaturatedServer.Round]] = [[], []]
        for round in 0..<rounds {
            // Each goes first every other time.
            for place in [round & 1, 1 - round & 1] {
                results[place].append(try servers[place].run(packets: scenario.packets))
            }
        }
        print(scenario.name)
        for (name, (server, results)) in zip(["  one worker ", "  two workers"], zip(servers, results)) {
            let rate = Figures.median(results.map(\.packetsPerSecond))
            let cost = Figures.median(results.map(\.nanosecondsPerPacket))
            let cores = Figures.median(results.map(\.busyCores))
            let group = Figures.hundredths(server.packetsPerMessage)
            print(
                "\(name)  \(Int(rate)) packets/s, \(Int(cost)) ns each, \(group) packets a message, \(Figures.hundredths(cores)) cores busy"
            )
            let workers = results.first?.nanosecondsByWorker.indices ?? 0..<0
            if workers.count > 1 {
                let costs = workers.map { worker in
                    "\(Int(Figures.median(results.map { $0.nanosecondsByWorker[worker] })))"
                }
                print("    of each worker: \(costs.joined(separator: " and ")) ns")
            }
            try await Self.check(server, scenario)
        }
        for server in servers { await server.stop() }
        let byTime = zip(results[0], results[1]).map { $1.packetsPerSecond / $0.packetsPerSecond }
        let byCPU = zip(results[0], results[1]).map { 2 * $0.nanosecondsPerPacket / $1.nanosecondsPerPacket }
        let (least, most) = (byTime.min() ?? 0, byTime.max() ?? 0)
        print("  ratios of rounds: \(Figures.hundredths(least)) to \(Figures.hundredths(most))")
        return (Figures.median(byTime), Figures.median(byCPU))
    }

    /// Nothing was left out: each subscriber was sent each packet.
    private static func check(_ server: SaturatedServer, _ scenario: Scenario) async throws {
        let expected = UInt64(server.published * scenario.subscribers)
        for _ in 0..<20 where server.forwarded < expected { try await Task.sleep(for: .milliseconds(100)) }
        guard server.forwarded == expected else {
            throw Failure("forwarded \(server.forwarded) packets where it should have been \(expected)")
        }
    }
}
