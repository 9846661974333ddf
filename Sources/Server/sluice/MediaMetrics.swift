import MediaPlane
import Observability

/// What media workers count, as metrics of `docs/metrics.md`.
enum MediaMetrics {
    /// One family list for each worker; the registry adds them up.
    static func families(_ counters: [RouterCounters]) -> [MetricFamily] {
        counters.enumerated().flatMap { index, counters in
            Self.rtp(counters) + Self.repair(counters) + Self.transport(counters) + Self.worker(counters, index: index)
        }
    }

    /// What the kernel granted. With several addresses the smallest of a worker's sockets is told: that one drops first.
    static func buffers(_ sockets: [MediaPlane.SocketReport], workerCount: Int) -> [MetricFamily] {
        // In the order of the workers, as many for each.
        let perWorker = max(1, sockets.count / max(1, workerCount))
        let samples = (0..<workerCount).flatMap { worker -> [MetricSample] in
            let own = sockets.dropFirst(worker * perWorker).prefix(perWorker)
            let label = MetricLabel("worker", String(worker))
            let sizes = [
                ("in", own.map(\.receiveBufferByteCount).min()), ("out", own.map(\.sendBufferByteCount).min()),
            ]
            return sizes.compactMap { direction, size in
                size.map { MetricSample([label, MetricLabel("direction", direction)], .number(Double($0))) }
            }
        }
        return [MetricFamily("sluice_socket_buffer_bytes", samples)]
    }

    private static func rtp(_ counters: RouterCounters) -> [MetricFamily] {
        func byKind(_ name: String, _ incoming: RouterCounters.ByKind, _ outgoing: RouterCounters.ByKind)
            -> MetricFamily
        {
            MetricFamily(
                name,
                [
                    sample(incoming.audio, ("direction", "in"), ("kind", "audio")),
                    sample(incoming.video, ("direction", "in"), ("kind", "video")),
                    sample(outgoing.audio, ("direction", "out"), ("kind", "audio")),
                    sample(outgoing.video, ("direction", "out"), ("kind", "video")),
                ]
            )
        }
        func dropped(_ count: UInt64, _ direction: String, _ reason: String) -> MetricSample {
            sample(count, ("direction", direction), ("reason", reason))
        }
        return [
            byKind("sluice_rtp_packets_total", counters.packetsIn, counters.packetsOut),
            byKind("sluice_rtp_bytes_total", counters.bytesIn, counters.bytesOut),
            MetricFamily(
                "sluice_rtp_dropped_packets_total",
                [
                    dropped(counters.droppedInReplay, "in", "replay"),
                    dropped(counters.droppedInAuthentication, "in", "auth"),
                    // From an address that no ICE check has vouched for: it is not authenticated either.
                    dropped(counters.droppedInUnknownSource, "in", "auth"),
                    dropped(counters.droppedInUnknownSSRC, "in", "unknownSSRC"),
                    dropped(counters.droppedInMalformed, "in", "malformed"),
                    dropped(counters.droppedInRateLimited, "in", "rateLimited"),
                    dropped(counters.droppedOutLayer, "out", "layer"),
                    dropped(counters.droppedOutNoRoom &+ counters.droppedOutPacer, "out", "queueFull"),
                    dropped(counters.droppedOutSendError, "out", "sendError"),
                ]
            ),
            MetricFamily("sluice_feedback_shed_total", [sample(counters.feedbackShed)]),
            MetricFamily(
                "sluice_rtp_lost_packets_total",
                [
                    sample(counters.packetsLostIn, ("direction", "in")),
                    sample(counters.packetsLostOut, ("direction", "out")),
                ]
            ),
        ]
    }

    private static func repair(_ counters: RouterCounters) -> [MetricFamily] {
        func request(_ count: UInt64, _ direction: String, _ type: String, _ result: String) -> MetricSample {
            sample(count, ("direction", direction), ("type", type), ("result", result))
        }
        return [
            MetricFamily(
                "sluice_nack_requests_total",
                [sample(counters.nacksIn, ("direction", "in")), sample(counters.nacksOut, ("direction", "out"))]
            ),
            MetricFamily(
                "sluice_paused_tracks",
                [
                    sample(counters.tracksPausedForBandwidth, ("reason", "bandwidth")),
                    sample(counters.tracksPaused, ("reason", "preference")),
                    sample(counters.tracksUnused, ("reason", "unused")),
                ]
            ),
            MetricFamily(
                "sluice_retransmissions_total",
                [
                    sample(counters.retransmissionsSent, ("direction", "out"), ("result", "sent")),
                    sample(counters.retransmissionsMissed, ("direction", "out"), ("result", "missed")),
                    sample(counters.retransmissionsIn, ("direction", "in"), ("result", "sent")),
                ]
            ),
            MetricFamily(
                "sluice_keyframe_requests_total",
                [
                    request(counters.pictureLossForwarded, "in", "pli", "forwarded"),
                    request(counters.pictureLossThrottled, "in", "pli", "throttled"),
                    request(counters.fullIntraForwarded, "in", "fir", "forwarded"),
                    request(counters.fullIntraThrottled, "in", "fir", "throttled"),
                    request(counters.keyFrameRequestsOut, "out", "pli", "forwarded"),
                ]
            ),
            Self.layerSwitches(counters.layerSwitches),
            MetricFamily(
                "sluice_ecn_packets_total",
                [
                    sample(counters.markedPacketsIn, ("direction", "in"), ("mark", "ect1")),
                    sample(counters.congestionMarksIn, ("direction", "in"), ("mark", "ce")),
                    sample(counters.markedPacketsOut, ("direction", "out"), ("mark", "ect1")),
                    sample(counters.congestionMarksOut, ("direction", "out"), ("mark", "ce")),
                ]
            ),
            MetricFamily(
                "sluice_ecn_paths_total",
                [
                    sample(counters.markedPathsCapable, ("result", "capable")),
                    sample(counters.markedPathsBleached, ("result", "bleached")),
                    sample(counters.markedPathsDropped, ("result", "dropped")),
                ]
            ),
            MetricFamily("sluice_forward_duration_seconds", [histogram(counters.forwardDuration)]),
            MetricFamily("sluice_socket_wait_seconds", [histogram(counters.socketWait)]),
            MetricFamily("sluice_subscriber_bitrate_estimate", [histogram(counters.bitrateEstimate)]),
            MetricFamily("sluice_subscriber_bitrate_used", [histogram(counters.bitrateUsed)]),
        ]
    }

    private static func layerSwitches(_ switches: LayerSwitches) -> MetricFamily {
        let reasons: [(LayerSwitchReason, String)] = [
            (.bandwidth, "bandwidth"), (.preference, "preference"), (.publisher, "publisher"), (.speaker, "speaker"),
        ]
        let samples = reasons.flatMap { reason, name in
            [(true, true), (true, false), (false, true), (false, false)].map { isSpatial, isUp in
                sample(
                    switches.count(isSpatial: isSpatial, isUp: isUp, reason: reason),
                    ("axis", isSpatial ? "spatial" : "temporal"),
                    ("to", isUp ? "up" : "down"),
                    ("reason", name)
                )
            }
        }
        return MetricFamily("sluice_layer_switches_total", samples)
    }

    private static func transport(_ counters: RouterCounters) -> [MetricFamily] {
        func connection(_ count: UInt64, _ result: String, family: String) -> MetricSample {
            sample(count, ("protocol", "udp"), ("family", family), ("result", result))
        }
        return [
            MetricFamily(
                "sluice_ice_connections_total",
                [
                    connection(counters.iceConnectedIPv4, "connected", family: "ipv4"),
                    connection(counters.iceConnectedIPv6, "connected", family: "ipv6"),
                    connection(counters.iceFailed.ipv4, "failed", family: "ipv4"),
                    connection(counters.iceFailed.ipv6, "failed", family: "ipv6"),
                    // No check ever came, so there is no address to tell it by.
                    connection(counters.iceFailed.unknown, "failed", family: "none"),
                    connection(counters.iceLost.ipv4, "lost", family: "ipv4"),
                    connection(counters.iceLost.ipv6, "lost", family: "ipv6"),
                ]
            ),
            MetricFamily(
                "sluice_dtls_handshakes_total",
                [
                    sample(counters.handshakesOK, ("result", "ok")),
                    sample(counters.handshakesFailed, ("result", "failed")),
                    sample(counters.handshakesWrongFingerprint, ("result", "fingerprintMismatch")),
                    sample(counters.handshakesTimedOut, ("result", "timeout")),
                ]
            ),
            MetricFamily("sluice_dtls_handshake_duration_seconds", [histogram(counters.handshakeDuration)]),
        ]
    }

    private static func worker(_ counters: RouterCounters, index: Int) -> [MetricFamily] {
        let label = MetricLabel("worker", String(index))
        return [
            MetricFamily(
                "sluice_worker_busy_ratio",
                [MetricSample([label], .number(Double(counters.busyPermille) / 1_000))]
            ),
            MetricFamily("sluice_worker_shed_tracks", [MetricSample([label], .count(counters.tracksShed))]),
            MetricFamily("sluice_worker_reduced_tracks", [MetricSample([label], .count(counters.tracksReduced))]),
            MetricFamily("sluice_worker_sessions", [MetricSample([label], .count(counters.sessions))]),
            MetricFamily("sluice_worker_mirrored_tracks", [MetricSample([label], .count(counters.mirrors))]),
            MetricFamily(
                "sluice_worker_crossing_packets_total",
                [
                    MetricSample([label, MetricLabel("result", "sent")], .count(counters.crossedPackets)),
                    MetricSample([label, MetricLabel("result", "dropped")], .count(counters.crossingDropped)),
                ]
            ),
            MetricFamily(
                "sluice_socket_dropped_packets_total",
                [MetricSample([label], .count(counters.socketDropped))]
            ),
            MetricFamily(
                "sluice_socket_errors_total",
                counters.socketErrors.byName.map { name, count in
                    MetricSample([label, MetricLabel("error", name)], .count(count))
                }
            ),
        ]
    }

    private static func sample(_ count: UInt64, _ labels: (String, String)...) -> MetricSample {
        MetricSample(labels.map { MetricLabel($0.0, $0.1) }, .count(count))
    }

    private static func histogram<Scale>(_ durations: DurationHistogram<Scale>) -> MetricSample {
        let counts = durations.buckets.indices.map { durations.buckets[$0] }
        let sum = Double(durations.sumNanoseconds) / 1e9
        return MetricSample(
            [],
            .histogram(HistogramSnapshot(bounds: DurationHistogram<Scale>.bounds, counts: counts, sum: sum))
        )
    }

    private static func histogram(_ bitrates: BitrateHistogram) -> MetricSample {
        let counts = bitrates.buckets.indices.map { bitrates.buckets[$0] }
        return MetricSample(
            [],
            .histogram(HistogramSnapshot(bounds: BitrateHistogram.bounds, counts: counts, sum: Double(bitrates.sum)))
        )
    }
}
