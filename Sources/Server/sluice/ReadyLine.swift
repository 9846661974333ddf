import Basics
import Glibc
import ServerConfiguration

/// Waits for both listeners, then prints the one line on stdout that says the server is there.
actor ReadyLine {
    private let configuration: SluiceConfiguration
    private let media: [TransportAddress]
    private var httpPort: Int?
    private var adminPort: Int?

    /// - Parameter media: where worker 0 can be reached.
    init(_ configuration: SluiceConfiguration, media: [TransportAddress]) {
        self.configuration = configuration
        self.media = media
    }

    func httpIsListening(on port: Int) {
        self.httpPort = port
        self.printIfReady()
    }

    func adminIsListening(on port: Int) {
        self.adminPort = port
        self.printIfReady()
    }

    private func printIfReady() {
        guard let port = self.httpPort, self.adminPort != nil else { return }
        let scheme = self.configuration.http.tls.certificate == nil ? "http" : "https"
        // The first address is the one that clients try first; the others are in every answer.
        let media = self.media.first?.description ?? "none"
        writeLine("sluice ready: \(scheme)://\(self.host):\(port)  media udp \(media)  turn off", to: STDOUT_FILENO)
    }

    /// As a browser on this machine takes it.
    private var host: String {
        guard let address = TransportAddress(self.configuration.http.host, port: 0) else {
            return self.configuration.http.host
        }
        if address.isUnspecified { return "localhost" }
        return address.isIPv4 ? address.ip : "[\(address.ip)]"
    }
}
