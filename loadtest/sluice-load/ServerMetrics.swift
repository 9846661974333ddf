import HTTPTypes
import LoadClient

/// What the server says of itself in `/metrics`, where it does.
struct ServerMetrics {
    var cpuSeconds = 0.0
    var packetsOut = 0.0
    var residentBytes = 0.0

    /// `nil` when the server has no such page.
    static func read(_ url: String) async -> ServerMetrics? {
        guard let server = ServerAddress(url) else { return nil }
        let request = HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/metrics")
        guard let answer = try? await HTTPExchange.send(request, to: server), answer.response.status == .ok else {
            return nil
        }
        var metrics = ServerMetrics()
        for line in answer.body.split(separator: "\n") where !line.hasPrefix("#") {
            guard let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...]) else {
                continue
            }
            let name = line[..<space].prefix { $0 != "{" }
            switch name {
            case "process_cpu_seconds_total": metrics.cpuSeconds = value
            case "process_resident_memory_bytes": metrics.residentBytes = value
            case "sluice_rtp_packets_total" where line.contains("direction=\"out\""): metrics.packetsOut += value
            default: break
            }
        }
        return metrics
    }

    static func difference(_ before: ServerMetrics?, _ after: ServerMetrics?) -> ServerMetrics? {
        guard let before, var after else { return nil }
        after.cpuSeconds -= before.cpuSeconds
        after.packetsOut -= before.packetsOut
        return after
    }
}
