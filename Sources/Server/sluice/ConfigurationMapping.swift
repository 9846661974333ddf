import Administration
import Basics
import Logging
import MediaPlane
import Negotiation
import Observability
import Rooms
import ServerConfiguration
import Signalling

// How the keys of the configuration become the settings of each part.

extension SluiceConfiguration {
    var mediaPlane: MediaPlane.Configuration {
        // Without addresses: all of IPv4 and all of IPv6.
        let all = [TransportAddress(ipv4: 0, port: 0), TransportAddress(high: 0, low: 0, port: 0)]
        var plane = MediaPlane.Configuration(
            hosts: self.media.host.isEmpty ? all : self.media.host,
            port: self.media.port,
            advertisedAddresses: self.media.advertisedAddresses,
            workerCount: self.media.workers,
            packetsPerSecondPerTransport: self.limits.packetsPerSecondPerTransport,
            sendBatchInterval: self.media.sendBatchInterval
        )
        plane.encryption =
            switch self.media.crypto {
            case .auto: .automatic
            case .openssl: .openSSL
            case .ipsecMB: .multiBuffer
            }
        plane.usesMarks = self.media.ecn == .auto
        return plane
    }

    var roomSettings: RoomSettings {
        RoomSettings(
            maxParticipants: self.rooms.maxParticipants,
            emptyTimeout: self.rooms.emptyTimeout,
            codecs: self.rooms.codecs.compactMap { Codec(rawValue: $0.rawValue) },
            maxTracksPerParticipant: self.limits.tracksPerParticipant,
            maxBitratePerParticipant: self.media.maxBitratePerParticipant,
            lastN: self.rooms.lastN
        )
    }

    var signallingLimits: SignallingLimits {
        SignallingLimits(
            joinsPerSecondPerAddress: self.limits.joinsPerSecondPerAddress,
            messagesPerSecond: self.limits.messagesPerSecond,
            messageBytes: self.limits.messageBytes,
            // Room for a few answers of the largest size to a client that reads slowly.
            outboundQueueBytes: self.limits.messageBytes * 4
        )
    }

    func signalling(version: String) -> SignallingConfiguration {
        var tls: SignallingConfiguration.TLS?
        if let certificate = self.http.tls.certificate, let privateKey = self.http.tls.privateKey {
            tls = SignallingConfiguration.TLS(certificate: certificate, privateKey: privateKey)
        }
        return SignallingConfiguration(
            host: self.http.host,
            port: Int(self.http.port),
            tls: tls,
            corsOrigins: self.http.corsOrigins,
            limits: self.signallingLimits,
            version: version
        )
    }

    var administration: AdministrationConfiguration {
        AdministrationConfiguration(host: self.admin.host, port: Int(self.admin.port), token: self.admin.token)
    }
}

extension LogConfiguration {
    var loggerLevel: Logger.Level { Logger.Level(rawValue: self.level.rawValue) ?? .info }
    var outputFormat: LogOutput.Format { self.format == .json ? .json : .text }
}

extension MetricsFormat {
    var exposition: MetricExposition {
        switch self {
        case .prometheus: .prometheus
        case .openMetrics: .openMetrics
        }
    }
}
