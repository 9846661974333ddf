import FoundationEssentials
import NIOSSL
import Synchronization

/// The certificate and key of the public listener, read again when their files change: a renewed certificate is served
/// to new connections without a restart.
final class TLSSource: Sendable {
    private struct State {
        var context: NIOSSLContext
        var stamp: [Stamp]
    }

    /// Which file a path leads to, and when that was written.
    private struct Stamp: Equatable {
        let path: String
        let modified: Date?
    }

    private let files: SignallingConfiguration.TLS
    private let state: Mutex<State>

    /// - Throws: what is wrong with the files, by `TLSFileError`.
    init(_ files: SignallingConfiguration.TLS) throws(TLSFileError) {
        self.files = files
        let stamp = Self.stamp(of: files)
        self.state = Mutex(State(context: try Self.makeContext(files), stamp: stamp))
    }

    var context: NIOSSLContext { self.state.withLock { $0.context } }

    /// Returns whether there was something new. On an error the former certificate stays in use.
    func reload() throws(TLSFileError) -> Bool {
        let stamp = Self.stamp(of: self.files)
        guard self.state.withLock({ $0.stamp != stamp }) else { return false }
        let context = try Self.makeContext(self.files)
        self.state.withLock { $0 = State(context: context, stamp: stamp) }
        return true
    }

    private static func stamp(of files: SignallingConfiguration.TLS) -> [Stamp] {
        [files.certificate, files.privateKey].map { path in
            // Kubernetes renews a secret by turning the link that its folder is behind: the link to the file itself stays.
            let target = URL(filePath: path).resolvingSymlinksInPath().path
            let attributes = try? FileManager.default.attributesOfItem(atPath: target)
            return Stamp(path: target, modified: attributes?[.modificationDate] as? Date)
        }
    }

    private static func makeContext(_ files: SignallingConfiguration.TLS) throws(TLSFileError) -> NIOSSLContext {
        let chain: [NIOSSLCertificate]
        do { chain = try NIOSSLCertificate.fromPEMFile(files.certificate) } catch {
            throw TLSFileError(key: "http.tls.certificate", path: files.certificate, reason: "\(error)")
        }
        let key: NIOSSLPrivateKey
        do { key = try NIOSSLPrivateKey(file: files.privateKey, format: .pem) } catch {
            throw TLSFileError(key: "http.tls.privateKey", path: files.privateKey, reason: "\(error)")
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) },
            privateKey: .privateKey(key)
        )
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        do { return try NIOSSLContext(configuration: configuration) } catch {
            throw TLSFileError(
                key: "http.tls.privateKey",
                path: files.privateKey,
                reason: "does not fit the certificate: \(error)"
            )
        }
    }
}

/// A certificate or key file that cannot be used.
package struct TLSFileError: Error, CustomStringConvertible {
    /// The configuration key that names the file.
    package let key: String
    package let path: String
    package let reason: String

    package var description: String { "\(self.key) '\(self.path)' cannot be used: \(self.reason)" }
}
