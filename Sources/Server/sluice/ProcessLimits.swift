import Glibc

/// What the process asks of the system for itself.
enum ProcessLimits {
    /// Open files up to what is allowed, no signal for a closed pipe, and no memory image with keys in it on the disk
    /// after a crash (ATTACKS A-80), but for developers.
    static func apply(isDevelopment: Bool) {
        signal(SIGPIPE, SIG_IGN)
        var files = rlimit()
        if unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files) == 0 {
            files.rlim_cur = files.rlim_max
            _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
        }
        if isDevelopment { return }
        var core = rlimit(rlim_cur: 0, rlim_max: 0)
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &core)
    }
}
