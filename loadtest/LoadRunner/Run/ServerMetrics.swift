import HTTPTypes
package import LoadClient

/// What the server says of itself in `/metrics`, where it does.
package struct ServerMetrics: Sendable, Equatable {
    package var cpuSeconds = 0.0
    package var packetsOut = 0.0
    package var residentBytes = 0.0

    package init() {}

    /// `nil` when the server has no such page, or takes longer than 2 s for it.
    package static func read(_ server: ServerAddress) async -> ServerMetrics? {
        await withTaskGroup(of: ServerMetrics?.self) { group in
            group.addTask { await self.fetch(server) }
            group.addTask {
                try? await Task.sleep(for: .seconds(2))
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }

    private static func fetch(_ server: ServerAddress) async -> ServerMetrics? {
        let request = HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/metrics")
        guard let answer = try? await HTTPExchange.send(request, to: server), answer.response.status == .ok else {
            return nil
        }
        return ServerMetrics(page: answer.body)
    }

    /// Takes what is needed off a page in Prometheus' text format.
    package init(page: String) {
        for line in page.split(separator: "\n") where !line.hasPrefix("#") {
            guard let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...]) else {
                continue
            }
            let name = line[..<space].prefix { $0 != "{" }
            switch name {
            case "process_cpu_seconds_total": self.cpuSeconds = value
            case "process_resident_memory_bytes": self.residentBytes = value
            case "sluice_rtp_packets_total" where line.contains("direction=\"out\""): self.packetsOut += value
            default: break
            }
        }
    }

    /// CPU seconds for each packet sent since; `nil` when none was.
    package func cpuPerPacket(since earlier: Self) -> Double? {
        let packets = self.packetsOut - earlier.packetsOut
        return packets > 0 ? (self.cpuSeconds - earlier.cpuSeconds) / packets : nil
    }
}
