import CTraffic

/// A socket that lives as long as the process.
package struct LoopbackSocket {
    package let descriptor: CInt
    package let port: UInt16

    package init() throws {
        var port: UInt16 = 0
        self.descriptor = ct_socket(&port)
        guard self.descriptor >= 0 else { throw Failure("no socket: errno \(-self.descriptor)") }
        self.port = port
    }
}

package struct Failure: Error, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}
