import LoadClient

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What the system allows this process.
package enum ProcessLimits {
    /// Raises the soft limit of open files to the hard one: each peer has a socket of its own, and a WebSocket one more.
    /// - Returns: how many files may be open.
    package static func raiseOpenFiles() -> Int {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1_024 }
        if limit.rlim_cur < limit.rlim_max {
            var raised = limit
            raised.rlim_cur = limit.rlim_max
            if unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0 { limit = raised }
        }
        return Int(clamping: limit.rlim_cur)
    }

    /// Bytes of this process that are in memory; 0 when the system does not say.
    package static func residentBytes() -> Int {
        let words = (SystemFiles.line(of: "/proc/self/statm") ?? "").split(separator: " ")
        guard words.count > 1, let pages = Int(words[1]) else { return 0 }
        return pages * Int(sysconf(CInt(_SC_PAGESIZE)))
    }

    /// User and system time of all threads of this process, in seconds.
    package static func cpuSeconds() -> Double {
        var time = timespec()
        guard unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return 0 }
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// How many files may be open that are not there yet: some for connections that come and go, and for the rest.
    package static let spareFiles = 300

    /// Whether standard error is a terminal.
    package static var hasTerminal: Bool { isatty(STDERR_FILENO) == 1 }
}
