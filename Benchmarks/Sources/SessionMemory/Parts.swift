import Basics
import DTLS
import SRTP

/// The two libraries' shares, each by itself.
extension Measurement {
    private static let start = Instant(nanoseconds: 1_000_000_000_000)

    /// A server's DTLS association after its handshake, as it would be with data channels and as it is without.
    static func associations(_ count: Int, carryData: Bool) -> Bool {
        guard let server = try? DTLSCertificate(unixSeconds: 1_795_000_000),
            let client = try? DTLSCertificate(unixSeconds: 1_795_000_000)
        else { fatalError("no certificate") }
        var kept: [Association] = []
        kept.reserveCapacity(count)
        for _ in 0..<20 { kept.append(Association(server, client, carriesData: carryData, at: self.start)) }
        let before = Holding.now()
        for _ in 0..<count { kept.append(Association(server, client, carriesData: carryData, at: self.start)) }
        let holding = Holding.now() - before
        return withExtendedLifetime(kept) {
            self.report("DTLS association\(carryData ? " for data channels" : "")", holding, of: count)
        }
    }

    private final class Association {
        private var session: DTLSSession

        init(_ certificate: DTLSCertificate, _ client: DTLSCertificate, carriesData: Bool, at now: Instant) {
            do {
                self.session = try DTLSSession(
                    role: .server,
                    certificate: certificate,
                    expectedFingerprints: [client.fingerprint],
                    configuration: DTLSConfiguration(carriesData: carriesData),
                    at: now
                )
                var peer = try DTLSSession(
                    role: .client,
                    certificate: client,
                    expectedFingerprints: [certificate.fingerprint],
                    at: now
                )
                var isConnected = false
                for _ in 0..<10 where !isConnected {
                    Self.carry(from: &peer, to: &self.session, at: now)
                    isConnected = Self.carry(from: &self.session, to: &peer, at: now)
                }
                guard isConnected else { fatalError("no handshake") }
                self.session.confirm()
            } catch { fatalError("\(error)") }
        }

        @discardableResult
        private static func carry(from sender: inout DTLSSession, to receiver: inout DTLSSession, at now: Instant)
            -> Bool
        {
            var isConnected = false
            while true {
                switch sender.nextOutput() {
                case .transmit(let datagram): receiver.handle(datagram.span.bytes, at: now)
                case .connected: isConnected = true
                case .wait: return isConnected
                default: break
                }
            }
        }
    }

    /// SRTP and SRTCP of one peer, both directions.
    static func protection(_ count: Int, isFast: Bool) -> Bool {
        let library = isFast ? SRTPLibrary.fastest : .openSSL
        if isFast, library == .openSSL { return true }
        let block = Redacted([UInt8](repeating: 7, count: SRTPProfile.aeadAes128Gcm.exporterLength))
        guard
            let material = SRTPKeyingMaterial(profile: .aeadAes128Gcm, exporterBlock: block, isServer: true),
            let first = try? Protection(material, library)
        else { fatalError("no keys") }
        var kept = [first]
        kept.reserveCapacity(count + 1)
        let before = Holding.now()
        for _ in 0..<count {
            guard let next = try? Protection(material, library) else { fatalError("no keys") }
            kept.append(next)
        }
        let holding = Holding.now() - before
        return withExtendedLifetime(kept) {
            self.report("SRTP, AES-128-GCM, \(isFast ? "multi-buffer" : "OpenSSL")", holding, of: count)
        }
    }

    private final class Protection {
        private let sender: SRTPSender
        private let receiver: SRTPReceiver

        init(_ material: SRTPKeyingMaterial, _ library: SRTPLibrary) throws {
            self.sender = try SRTPSender(material, library: library)
            self.receiver = try SRTPReceiver(material, library: library)
        }
    }
}
