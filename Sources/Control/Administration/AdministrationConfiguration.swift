package import Basics

/// What the admin listener is made with.
package struct AdministrationConfiguration: Sendable {
    package var host: String
    /// 0 = any free one.
    package var port: Int
    /// Bearer token of the admin API; `nil` = none is asked for, which is for loopback only.
    package var token: Redacted<String>?

    package init(host: String = "127.0.0.1", port: Int = 8_081, token: Redacted<String>? = nil) {
        self.host = host
        self.port = port
        self.token = token
    }
}

/// The format of `/metrics` that the scraper prefers.
package enum MetricsFormat: Sendable {
    /// Prometheus text format 0.0.4.
    case prometheus
    /// OpenMetrics text format 1.0.0.
    case openMetrics

    package var contentType: String {
        switch self {
        case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }

    /// Reads `Accept` (RFC 9110 §12.5.1): OpenMetrics where it is named with at least the weight of `text/plain`.
    init(accept: String?) {
        var openMetrics = 0.0
        var plain = 0.0
        for range in (accept ?? "").lowercased().split(separator: ",") {
            let parts = range.split(separator: ";").map { $0.filter { $0 != " " } }
            let weight = parts.dropFirst().first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) } ?? 1
            switch parts.first {
            case "application/openmetrics-text": openMetrics = max(openMetrics, weight)
            case "text/plain": plain = max(plain, weight)
            default: break
            }
        }
        self = openMetrics > 0 && openMetrics >= plain ? .openMetrics : .prometheus
    }
}
