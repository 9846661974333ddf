/// A listener of the control plane could not open its port: it is taken, not ours, or not allowed. The process ends
/// with 71.
package struct ListenError: Error, CustomStringConvertible {
    /// Which listener: `http` or `admin`, as the keys of the configuration begin.
    package let listener: String
    package let host: String
    package let port: Int
    package let reason: String

    package init(listener: String, host: String, port: Int, reason: String) {
        self.listener = listener
        self.host = host
        self.port = port
        self.reason = reason
    }

    package var description: String {
        "\(self.listener).host \(self.host), \(self.listener).port \(self.port): cannot listen (\(self.reason)); "
            + "choose another port or end what uses it"
    }
}
