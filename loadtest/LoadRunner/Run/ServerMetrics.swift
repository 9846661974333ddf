import HTTPTypes
package import LoadClient

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Where a server's figures come from.
package enum ServerFigures: Sendable {
    /// Its `/metrics`.
    case metrics(ServerAddress, acceptsAnyCertificate: Bool)
    /// This machine's `/proc`: of any server, and nothing is asked of it.
    case process(Int32)

    /// - Parameter received: packets that the clients have received so far; what a process has sent nobody says.
    /// - Returns: `nil` when they cannot be had.
    package func read(received: UInt64) async -> ServerMetrics? {
        switch self {
        case .metrics(let server, let acceptsAny): await ServerMetrics.read(server, acceptsAnyCertificate: acceptsAny)
        case .process(let number): ServerMetrics(process: number, packetsOut: Double(received))
        }
    }
}

/// What the server uses, and how much it has sent.
package struct ServerMetrics: Sendable, Equatable {
    package var cpuSeconds = 0.0
    package var packetsOut = 0.0
    package var residentBytes = 0.0
    /// Packets that it dropped on their way out, and datagrams that its sockets had no room for, by reason.
    package var dropped: [String: Double] = [:]

    package init() {}

    /// `nil` when the server has no such page, or takes longer than 2 s for it.
    package static func read(_ server: ServerAddress, acceptsAnyCertificate: Bool = false) async -> ServerMetrics? {
        await withTaskGroup(of: ServerMetrics?.self) { group in
            group.addTask { await self.fetch(server, acceptsAnyCertificate) }
            group.addTask {
                try? await Task.sleep(for: .seconds(2))
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }

    private static func fetch(_ server: ServerAddress, _ acceptsAnyCertificate: Bool) async -> ServerMetrics? {
        let request = HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/metrics")
        let answer = try? await HTTPExchange.send(request, to: server, acceptsAnyCertificate: acceptsAnyCertificate)
        guard let answer, answer.response.status == .ok else { return nil }
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
            case "sluice_rtp_dropped_packets_total" where line.contains("direction=\"out\""):
                if let reason = Self.label("reason", in: line) { self.dropped[reason, default: 0] += value }
            case "sluice_socket_dropped_packets_total": self.dropped["full socket", default: 0] += value
            default: break
            }
        }
    }

    private static func label(_ name: String, in line: Substring) -> String? {
        guard let start = line.firstRange(of: "\(name)=\"") else { return nil }
        return String(line[start.upperBound...].prefix { $0 != "\"" })
    }

    /// What was dropped since, most first. That layers are left out is no loss: it is what an SFU is for.
    package func dropped(since earlier: Self) -> [(reason: String, count: Double)] {
        self.dropped.map { (reason: $0.key, count: $0.value - (earlier.dropped[$0.key] ?? 0)) }
            .filter { $0.count > 0 && $0.reason != "layer" }
            .sorted { ($1.count, $0.reason) < ($0.count, $1.reason) }
    }

    /// What the kernel says of a process and its threads; `nil` when there is none of that number.
    init?(process: Int32, packetsOut: Double) {
        guard let stat = SystemFiles.line(of: "/proc/\(process)/stat"),
            let statm = SystemFiles.line(of: "/proc/\(process)/statm")
        else { return nil }
        self.init(
            stat: stat,
            statm: statm,
            ticksPerSecond: Double(sysconf(CInt(_SC_CLK_TCK))),
            pageSize: Double(sysconf(CInt(_SC_PAGESIZE)))
        )
        self.packetsOut = packetsOut
    }

    /// Takes user and system time off the line of `/proc/PID/stat`, and resident pages off that of `/proc/PID/statm`.
    package init?(stat: String, statm: String, ticksPerSecond: Double, pageSize: Double) {
        // The second field, the program's name, is in parentheses and may hold anything.
        guard let end = stat.lastIndex(of: ")"), ticksPerSecond > 0 else { return nil }
        let fields = stat[end...].split(separator: " ")
        let pages = statm.split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else { return nil }
        guard pages.count > 1, let resident = Double(pages[1]) else { return nil }
        self.cpuSeconds = (user + system) / ticksPerSecond
        self.residentBytes = resident * pageSize
    }

    /// CPU seconds for each packet sent since; `nil` when none was.
    package func cpuPerPacket(since earlier: Self) -> Double? {
        let packets = self.packetsOut - earlier.packetsOut
        return packets > 0 ? (self.cpuSeconds - earlier.cpuSeconds) / packets : nil
    }
}
