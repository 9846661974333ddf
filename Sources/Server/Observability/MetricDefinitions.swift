/// What is known of a metric before the first sample: type, help, buckets, and the labels whose values are fixed.
package struct MetricDefinition: Sendable {
    package enum Kind: String, Sendable {
        case counter, gauge, histogram
    }

    package let name: String
    package let kind: Kind
    package let help: String
    /// Upper bounds of a histogram's buckets.
    package let bounds: [Double]
    /// Every combination of these appears with 0 from the start, so that a rate is right from the first event on.
    let fixedLabels: [(name: String, values: [String])]?

    static func counter(
        _ name: String,
        _ help: String,
        labels: [(name: String, values: [String])]? = nil
    ) -> Self {
        Self(name: name, kind: .counter, help: help, bounds: [], fixedLabels: labels)
    }

    static func gauge(_ name: String, _ help: String, labels: [(name: String, values: [String])]? = nil) -> Self {
        Self(name: name, kind: .gauge, help: help, bounds: [], fixedLabels: labels)
    }

    static func histogram(
        _ name: String,
        _ help: String,
        bounds: [Double],
        labels: [(name: String, values: [String])]? = nil
    ) -> Self {
        Self(name: name, kind: .histogram, help: help, bounds: bounds, fixedLabels: labels)
    }

    /// The samples that exist before anything happened.
    var initialLabels: [[MetricLabel]] {
        guard let labels = self.fixedLabels else { return [] }
        return labels.reduce([[]]) { sets, label in
            sets.flatMap { set in label.values.map { set + [MetricLabel(label.name, $0)] } }
        }
    }
}

/// The table of all metrics that the server can have. `nil` labels: it appears with its first sample.
package enum MetricDefinitions {
    package static let all: [MetricDefinition] = control + transport + media + quality + traffic + process

    private static let direction = (name: "direction", values: ["in", "out"])
    private static let kind = (name: "kind", values: ["audio", "video"])
    private static let sessionKind = (name: "kind", values: ["websocket", "whip", "whep", "peer"])

    /// 1 ms to 10 s: what a person waits for.
    private static let waiting = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
    /// 2 µs to 50 ms: what a packet waits for.
    private static let forwarding = [
        0.000_002, 0.000_005, 0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.05,
    ]
    /// 30 kbit/s to 50 Mbit/s.
    private static let bitrates: [Double] = [
        30_000, 100_000, 250_000, 500_000, 1_000_000, 2_000_000, 3_000_000, 5_000_000, 10_000_000, 20_000_000,
        50_000_000,
    ]

    private static let control: [MetricDefinition] = [
        .gauge("sluice_build_info", "Always 1; the labels say what runs."),
        .gauge("sluice_rooms", "Rooms that exist.", labels: []),
        .gauge("sluice_participants", "Participants of all rooms.", labels: []),
        .gauge("sluice_sessions", "Peer connections that the server terminates.", labels: [sessionKind]),
        .gauge(
            "sluice_tracks",
            "Tracks, published by clients or forwarded to them.",
            labels: [(name: "direction", values: ["published", "forwarded"]), kind]
        ),
        .counter(
            "sluice_joins_total",
            "Attempts to join a room, by outcome.",
            labels: [
                (name: "kind", values: ["websocket", "whip", "whep"]),
                (
                    name: "result",
                    values: [
                        "ok", "badMessage", "unauthorized", "forbidden", "roomFull", "sdpInvalid", "sdpUnsupported",
                        "rateLimited", "draining", "internal",
                    ]
                ),
            ]
        ),
        .histogram(
            "sluice_join_duration_seconds",
            "Time from the arrival of an offer to the first media packet forwarded or received.",
            bounds: waiting,
            labels: []
        ),
        .counter("sluice_signalling_messages_total", "Signalling messages, by direction, type and outcome."),
        .counter("sluice_http_requests_total", "HTTP requests, by route, method and status."),
        .histogram("sluice_http_request_duration_seconds", "Time to answer an HTTP request.", bounds: waiting),
    ]

    private static let transport: [MetricDefinition] = [
        .counter(
            "sluice_ice_connections_total",
            "ICE sessions that connected, failed to, or were lost."
        ),
        .counter(
            "sluice_dtls_handshakes_total",
            "DTLS handshakes, by outcome.",
            labels: [(name: "result", values: ["ok"])]
        ),
        .histogram(
            "sluice_dtls_handshake_duration_seconds",
            "Time from the first ClientHello to the keys.",
            bounds: waiting,
            labels: []
        ),
        .gauge("sluice_worker_busy_ratio", "Share of its time in which a media worker did not wait, 0 to 1."),
        .gauge(
            "sluice_worker_shed_tracks",
            "Video tracks that a media worker does not send to a subscriber because it is overloaded."
        ),
        .gauge(
            "sluice_worker_reduced_tracks",
            "Video tracks that a media worker sends to a subscriber in the smallest layer only because it is overloaded."
        ),
        .gauge("sluice_worker_sessions", "Sessions of a media worker."),
        .gauge(
            "sluice_worker_mirrored_tracks",
            "Tracks of other media workers that a worker has subscribers of."
        ),
        .counter(
            "sluice_worker_crossing_packets_total",
            "Packets that a media worker handed to others, and those that found the other's ring full."
        ),
        .gauge(
            "sluice_socket_buffer_bytes",
            "What the kernel granted each of a media worker's sockets: in, for receiving; out, for sending."
        ),
        .counter(
            "sluice_socket_dropped_packets_total",
            "Datagrams that the kernel dropped because a socket's buffer was full."
        ),
        .counter(
            "sluice_socket_errors_total",
            "Send calls of a media worker that failed, by errno; a call that was tried again counts too."
        ),
    ]

    private static let media: [MetricDefinition] = [
        .counter("sluice_rtp_packets_total", "RTP packets received and sent.", labels: [direction, kind]),
        .counter(
            "sluice_rtp_bytes_total",
            "Bytes of RTP packets received and sent, headers included.",
            labels: [direction, kind]
        ),
        .counter(
            "sluice_feedback_shed_total",
            "RTCP datagrams that a media worker left unread because it was overloaded."
        ),
        .counter(
            "sluice_rtp_dropped_packets_total",
            "RTP packets that were not forwarded or not accepted, by reason.",
            labels: [
                direction,
                (
                    name: "reason",
                    values: [
                        "layer", "replay", "auth", "unknownSSRC", "malformed", "queueFull", "rateLimited", "sendError",
                    ]
                ),
            ]
        ),
        .counter(
            "sluice_rtp_lost_packets_total",
            "RTP packets lost: in, before recovery; out, as receivers report.",
            labels: [direction]
        ),
        .counter(
            "sluice_ecn_packets_total",
            "RTP packets with ECN marks: in, as they came from publishers; out, as they left, and as receivers report.",
            labels: [direction, (name: "mark", values: ["ect1", "ce"])]
        ),
        .counter(
            "sluice_ecn_paths_total",
            "Paths to subscribers that were tried with ECN marks, by outcome.",
            labels: [(name: "result", values: ["capable", "bleached", "dropped"])]
        ),
        .counter("sluice_nack_requests_total", "Packets asked for again.", labels: [direction]),
        .counter(
            "sluice_retransmissions_total",
            "Answers to requests for a packet.",
            labels: [direction, (name: "result", values: ["sent", "missed"])]
        ),
        .counter(
            "sluice_keyframe_requests_total",
            "Requests for a key frame.",
            labels: [
                direction, (name: "type", values: ["pli", "fir"]),
                (name: "result", values: ["forwarded", "throttled"]),
            ]
        ),
        .counter("sluice_layer_switches_total", "Changes of the layer that a subscriber is sent."),
        .gauge(
            "sluice_paused_tracks",
            "Forwarded tracks that are not sent at the moment, by reason.",
            labels: [(name: "reason", values: ["bandwidth", "preference", "unused"])]
        ),
        .histogram(
            "sluice_forward_duration_seconds",
            "Time from the return of the receive call to the return of the send call, one packet in 64.",
            bounds: forwarding,
            labels: []
        ),
        .histogram(
            "sluice_socket_wait_seconds",
            "Time that the oldest datagram of a read had lain in the socket's buffer.",
            bounds: forwarding
        ),
    ]

    private static let quality: [MetricDefinition] = [
        .histogram(
            "sluice_subscriber_bitrate_estimate",
            "Estimated bits per second to a subscriber, once a second.",
            bounds: bitrates
        ),
        .histogram(
            "sluice_subscriber_bitrate_used",
            "Bits per second sent to a subscriber, once a second.",
            bounds: bitrates
        ),
        .histogram(
            "sluice_quality_score",
            "Quality of a participant's connection, 1 to 5, once a second.",
            bounds: [1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5]
        ),
    ]

    private static let traffic: [MetricDefinition] = [
        .counter("sluice_data_messages_total", "Messages of data channels."),
        .counter("sluice_data_bytes_total", "Bytes of messages of data channels."),
        .gauge("sluice_turn_allocations", "TURN allocations that exist."),
        .counter("sluice_turn_requests_total", "TURN requests, by method and outcome."),
        .counter("sluice_turn_relayed_packets_total", "Packets that TURN relayed."),
        .counter("sluice_turn_relayed_bytes_total", "Bytes that TURN relayed."),
    ]

    private static let process: [MetricDefinition] = [
        .counter("process_cpu_seconds_total", "User and system CPU time spent, in seconds."),
        .gauge("process_resident_memory_bytes", "Resident memory, in bytes."),
        .gauge("process_virtual_memory_bytes", "Virtual memory, in bytes."),
        .gauge("process_open_fds", "Open file descriptors."),
        .gauge("process_max_fds", "File descriptors that may be open at most."),
        .gauge("process_start_time_seconds", "Start of the process, in seconds since 1970-01-01 00:00 UTC."),
        .counter(
            "sluice_log_suppressed_lines_total",
            "Log lines left out because one place in the code logged too often.",
            labels: []
        ),
    ]
}
