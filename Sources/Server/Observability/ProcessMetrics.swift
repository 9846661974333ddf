import Foundation
import Glibc

extension MetricRegistry {
    /// `process_*` with the names and meanings of the Prometheus client libraries.
    package func addProcessMetrics() {
        self.addCollector { ProcessSample().families }
    }

    /// `sluice_build_info`.
    package func addBuildInfo(version: String, swift: String) {
        let labels = [MetricLabel("version", version), MetricLabel("swift", swift)]
        self.addCollector { [MetricFamily("sluice_build_info", [MetricSample(labels, .number(1))])] }
    }
}

/// One reading of `/proc/self`. What can't be read is left out.
private struct ProcessSample {
    let families: [MetricFamily]

    init() {
        var families: [MetricFamily] = []
        func add(_ name: String, _ value: Double) {
            families.append(MetricFamily(name, [MetricSample([], .number(value))]))
        }
        let ticks = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
        if let fields = Self.statFields(), fields.count > 21 {
            // Numbered as in proc(5), where the fields after the name begin with 3.
            let field: (Int) -> Double = { Double(fields[$0 - 3]) ?? 0 }
            add("process_cpu_seconds_total", (field(14) + field(15)) / ticks)
            add("process_virtual_memory_bytes", field(23))
            add("process_resident_memory_bytes", field(24) * Double(sysconf(Int32(_SC_PAGESIZE))))
            if let boot = Self.bootTime() { add("process_start_time_seconds", boot + field(22) / ticks) }
        }
        if let descriptors = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            // One of them was the listing itself.
            add("process_open_fds", Double(max(0, descriptors.count - 1)))
        }
        var limit = rlimit()
        if unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            add("process_max_fds", Double(limit.rlim_cur))
        }
        self.families = families
    }

    /// The fields after the program's name, which may hold blanks and parentheses itself.
    private static func statFields() -> [Substring]? {
        guard let text = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
            let end = text.lastIndex(of: ")")
        else { return nil }
        return text[text.index(after: end)...].split { $0 == " " || $0 == "\n" }
    }

    private static func bootTime() -> Double? {
        guard let text = try? String(contentsOfFile: "/proc/stat", encoding: .utf8) else { return nil }
        let line = text.split(separator: "\n").first { $0.hasPrefix("btime ") }
        return line.flatMap { Double($0.dropFirst("btime ".count)) }
    }
}
