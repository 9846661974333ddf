import Metrics
import Rooms

/// The signalling's counters. Every label value is from a closed list.
enum SignallingMetrics {
    enum Direction: String { case received = "in", sent = "out" }

    static func message(_ direction: Direction, type: String, result: String) {
        let dimensions = [("direction", direction.rawValue), ("type", type), ("result", result)]
        Counter(label: "sluice_signalling_messages_total", dimensions: dimensions).increment()
    }

    static func join(_ kind: SessionKind, result: String) {
        Counter(label: "sluice_joins_total", dimensions: [("kind", kind.rawValue), ("result", result)]).increment()
    }

    static func request(route: String, method: String, status: Int, duration: Duration) {
        let dimensions = [("route", route), ("method", method), ("status", String(status))]
        Counter(label: "sluice_http_requests_total", dimensions: dimensions).increment()
        let (seconds, attoseconds) = duration.components
        Timer(label: "sluice_http_request_duration_seconds", dimensions: dimensions)
            .recordNanoseconds(seconds &* 1_000_000_000 &+ attoseconds / 1_000_000_000)
    }
}
