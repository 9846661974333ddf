import ArgumentParser
import Glibc

/// Why the process ends before it serves, with the exit codes of sysexits.h.
enum StartupFailure: Error {
    /// 78: the configuration is wrong.
    case configuration(String)
    /// 71: the system refused something, such as a port.
    case system(String)

    /// Says it in one sentence on stderr, and ends the process.
    func exit() -> Never {
        let (message, code): (String, CInt) =
            switch self {
            case .configuration(let text): (text, EX_CONFIG)
            case .system(let text): (text, EX_OSERR)
            }
        writeLine("sluice: \(message)", to: STDERR_FILENO)
        Glibc.exit(code)
    }
}

/// Whole lines, past every buffer: whoever waits for the line gets it now.
func writeLine(_ text: String, to descriptor: CInt) {
    let bytes = Array((text + "\n").utf8)
    var written = 0
    while written < bytes.count {
        let count = unsafe bytes[written...].withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
        if count > 0 { written += count } else if errno != EINTR { return }
    }
}
