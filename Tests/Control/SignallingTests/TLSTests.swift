import Basics
import FoundationEssentials
import NIOCore
import NIOPosix
import NIOSSL
import Signalling
import Testing

@Suite(.timeLimit(.minutes(1))) struct TLSTests {
    /// A folder with a certificate and a key, gone after the test.
    private static func withFiles(_ body: (SignallingConfiguration.TLS) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sluice-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let files = SignallingConfiguration.TLS(
            certificate: folder.appending(path: "certificate.pem").path,
            privateKey: folder.appending(path: "key.pem").path
        )
        try Self.write(TestCertificates.first, to: files)
        try await body(files)
    }

    private static func write(_ pair: (certificate: String, key: String), to files: SignallingConfiguration.TLS) throws
    {
        try Data(pair.certificate.utf8).write(to: URL(filePath: files.certificate))
        try Data(pair.key.utf8).write(to: URL(filePath: files.privateKey))
    }

    /// The certificate that the server shows, and the status line of its answer to `GET /`.
    private static func visit(port: Int) async throws -> (certificate: NIOSSLCertificate?, status: String) {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        let context = try NIOSSLContext(configuration: configuration)
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        NIOSSLClientHandler(context: context, serverHostname: nil)
                    )
                    return try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: "GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
            var iterator = inbound.makeAsyncIterator()
            let answer = try await iterator.next().map { String(buffer: $0) } ?? ""
            let certificate = try await channel.channel.nioSSL_peerCertificate().get()
            return (certificate, String(answer.prefix { !$0.isNewline }))
        }
    }

    @Test func aRenewedCertificateIsShownToNewConnections() async throws {
        try await Self.withFiles { files in
            try await TestServer.run(tls: files) { server in
                let before = try await Self.visit(port: server.port)
                #expect(before.status == "HTTP/1.1 200 OK")
                #expect(
                    try before.certificate
                        == NIOSSLCertificate.fromPEMBytes(Array(TestCertificates.first.certificate.utf8)).first
                )
                try server.server.reloadTLS()
                try Self.write(TestCertificates.second, to: files)
                try server.server.reloadTLS()
                let after = try await Self.visit(port: server.port)
                #expect(
                    try after.certificate
                        == NIOSSLCertificate.fromPEMBytes(Array(TestCertificates.second.certificate.utf8)).first
                )
            }
        }
    }

    @Test func `a certificate is renewed by turning the link of its folder, as Kubernetes does with secrets`()
        async throws
    {
        try await Self.withFiles { files in
            let folder = URL(filePath: files.certificate).deletingLastPathComponent()
            let manager = FileManager.default
            let linked = SignallingConfiguration.TLS(
                certificate: folder.appending(path: "tls.crt").path,
                privateKey: folder.appending(path: "tls.key").path
            )
            for (name, pair) in [("1", TestCertificates.first), ("2", TestCertificates.second)] {
                let version = folder.appending(path: name)
                try manager.createDirectory(at: version, withIntermediateDirectories: true)
                let targets = SignallingConfiguration.TLS(
                    certificate: version.appending(path: "tls.crt").path,
                    privateKey: version.appending(path: "tls.key").path
                )
                try Self.write(pair, to: targets)
            }
            let data = folder.appending(path: "..data").path
            try manager.createSymbolicLink(atPath: data, withDestinationPath: "1")
            try manager.createSymbolicLink(atPath: linked.certificate, withDestinationPath: "..data/tls.crt")
            try manager.createSymbolicLink(atPath: linked.privateKey, withDestinationPath: "..data/tls.key")
            try await TestServer.run(tls: linked) { server in
                try FileManager.default.removeItem(atPath: data)
                try FileManager.default.createSymbolicLink(atPath: data, withDestinationPath: "2")
                try server.server.reloadTLS()
                let visit = try await Self.visit(port: server.port)
                #expect(
                    try visit.certificate
                        == NIOSSLCertificate.fromPEMBytes(Array(TestCertificates.second.certificate.utf8)).first
                )
            }
        }
    }

    @Test func aBrokenRenewalLeavesTheFormerInUse() async throws {
        try await Self.withFiles { files in
            try await TestServer.run(tls: files) { server in
                try Self.write((TestCertificates.second.certificate, TestCertificates.first.key), to: files)
                #expect(throws: TLSFileError.self) { try server.server.reloadTLS() }
                let visit = try await Self.visit(port: server.port)
                #expect(
                    try visit.certificate
                        == NIOSSLCertificate.fromPEMBytes(Array(TestCertificates.first.certificate.utf8)).first
                )
            }
        }
    }

    @Test func aMissingFileIsNamedWithItsKey() async throws {
        try await Self.withFiles { files in
            var missing = files
            missing.privateKey += ".none"
            await #expect { try await TestServer.run(tls: missing) { _ in } } throws: {
                ($0 as? TLSFileError)?.key == "http.tls.privateKey"
            }
        }
    }
}
