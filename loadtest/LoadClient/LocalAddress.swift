package import Basics
import NIOCore
import NIOPosix

/// This machine's address on its way to a server.
package enum LocalAddress {
    /// By the way that HTTP goes: of a name with addresses of both families, the one that answers.
    ///
    /// - Throws: `LoadClientError.connectionFailed` where the server's name is not known, or there is no way to it.
    package static func towards(_ server: ServerAddress) async throws -> TransportAddress {
        let channel: any Channel
        do {
            channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .connectTimeout(.seconds(5))
                .connect(host: server.host, port: server.port)
                .get()
        } catch { throw LoadClientError.connectionFailed(server.explaining(error)) }
        let address = channel.localAddress?.ipAddress
        try? await channel.close()
        guard let address, let local = TransportAddress(address, port: 0) else {
            throw LoadClientError.connectionFailed("\(server): this machine has no address on the way there")
        }
        return local
    }
}
