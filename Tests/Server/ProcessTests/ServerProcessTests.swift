import Glibc
import Testing

/// The process as an operator meets it: its lines, its signals and its exit codes.
@Suite("The sluice process", .serialized)
struct ServerProcessTests {
    @Test("It says where it can be reached, and ends with 0 when it is asked to", arguments: [SIGTERM, SIGINT])
    func readyAndStop(signal: Int32) throws {
        let server = try ServerProcess(["serve", "--dev"] + ServerProcess.anyPorts)
        let pattern = /sluice ready: http:\/\/127\.0\.0\.1:[1-9][0-9]*  media udp 127\.0\.0\.1:[1-9][0-9]*  turn off/
        #expect(server.readyLine.wholeMatch(of: pattern) != nil, "\(server.readyLine)")
        server.send(signal)
        let exit = try server.wait()
        #expect(exit.code == 0)
        #expect(exit.standardError.contains("development mode: anyone on this machine may join any room"))
    }

    @Test("serve is the default, and without a file and keys it is development")
    func defaults() throws {
        let server = try ServerProcess(ServerProcess.anyPorts)
        #expect(server.readyLine.hasPrefix("sluice ready: http://127.0.0.1:"))
        server.send(SIGTERM)
        #expect(try server.wait().code == 0)
    }

    @Test("A wrong configuration ends it with 78 and one sentence")
    func wrongConfiguration() throws {
        let server = try ServerProcess(["serve"], environment: ["SLUICE_MEDIA_PROT": "1"])
        #expect(server.readyLine == "")
        let expected =
            "sluice: There is no key for the environment variable SLUICE_MEDIA_PROT: did you mean SLUICE_MEDIA_PORT?\n"
        let exit = try server.wait()
        #expect(exit == ServerProcess.Exit(code: 78, standardError: expected))
    }

    @Test("A port in use ends it with 71, and the message names the key", arguments: ["http", "admin", "media"])
    func portInUse(listener: String) throws {
        let socket = try BoundSocket(isDatagram: listener == "media")
        var arguments = ServerProcess.anyPorts
        guard let position = arguments.firstIndex(of: "--\(listener)-port") else {
            Issue.record("no such flag")
            return
        }
        arguments[position + 1] = String(socket.port)
        let exit = try ServerProcess(["serve", "--dev"] + arguments).wait()
        #expect(exit.code == 71)
        #expect(exit.standardError.contains("sluice: \(listener).host"), "\(exit.standardError)")
        #expect(exit.standardError.contains("\(socket.port)"))
    }

    @Test("media.crypto chooses the library, and the log says which it is")
    func encryption() throws {
        let openSSL = try ServerProcess(["serve", "--dev", "--media-crypto", "openssl"] + ServerProcess.anyPorts)
        #expect(!openSSL.readyLine.isEmpty)
        openSSL.send(SIGTERM)
        #expect(try openSSL.wait().standardError.contains("OpenSSL 3"))
        // Where the library can't be had, whoever insists on it is told.
        let fast = try ServerProcess(["serve", "--dev", "--media-crypto", "ipsec-mb"] + ServerProcess.anyPorts)
        if fast.readyLine.isEmpty {
            let exit = try fast.wait()
            #expect(exit.code == 78)
            #expect(exit.standardError.contains("media.crypto is ipsec-mb, which can't be used"))
        } else {
            fast.send(SIGTERM)
            #expect(try fast.wait().standardError.contains("Intel multi-buffer library 1."))
        }
    }

    @Test("--version and check-config")
    func information() throws {
        let version = try ServerProcess(["--version"])
        #expect(version.readyLine == "sluice 0.1.0")
        let check = try ServerProcess(["check-config", "--log-level", "debug"])
        #expect(try check.wait().code == 0)
        #expect(check.readyLine == "http.host = 127.0.0.1  (--dev)")
    }

    @Test("sluice token signs with a key of the environment")
    func token() throws {
        let keys = ["SLUICE_AUTH_KEYS": "k:0123456789abcdef0123456789abcdef"]
        let signed = try ServerProcess(["token", "--room", "r", "--identity", "ada"], environment: keys)
        #expect(try signed.wait().code == 0)
        #expect(signed.readyLine.split(separator: ".").count == 3)
        let unsigned = try ServerProcess(["token", "--room", "r"])
        #expect(try unsigned.wait().code == 78)
    }
}

/// A socket of the test's own on a free port of 127.0.0.1.
private final class BoundSocket {
    struct Failure: Error {}

    let port: UInt16
    private let descriptor: Int32

    init(isDatagram: Bool) throws {
        let descriptor = socket(AF_INET, Int32((isDatagram ? SOCK_DGRAM : SOCK_STREAM).rawValue), 0)
        self.descriptor = descriptor
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(descriptor, generic, length) == 0 && getsockname(descriptor, generic, &length) == 0
            }
        }
        guard isBound, isDatagram || listen(descriptor, 1) == 0 else { throw Failure() }
        self.port = UInt16(bigEndian: address.sin_port)
    }

    deinit { close(self.descriptor) }
}
