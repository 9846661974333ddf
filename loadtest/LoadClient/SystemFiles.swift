#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What the kernel says of this process in `/proc`.
package enum SystemFiles {
    /// The first 8 KiB of a file; `nil` when it cannot be read.
    package static func text(of path: String) -> String? {
        guard let file = unsafe fopen(path, "r") else { return nil }
        defer { unsafe fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 8_192)
        let count = unsafe fread(&bytes, 1, bytes.count, file)
        return count > 0 ? String(decoding: bytes.prefix(count), as: UTF8.self) : nil
    }

    /// The first line of a file; `nil` when it cannot be read.
    package static func line(of path: String) -> String? {
        self.text(of: path)?.split(separator: "\n", omittingEmptySubsequences: false).first.map(String.init)
    }

    /// For how long a thread was ready to run and had no core, from the line of its `schedstat`: nanoseconds of running,
    /// of waiting, and a count.
    package static func waitSeconds(schedstat line: String) -> Double? {
        let words = line.split { $0 == " " || $0 == "\n" }
        guard words.count >= 2, let nanoseconds = UInt64(words[1]) else { return nil }
        return Double(nanoseconds) / 1e9
    }

    /// On how many cores this process may run; 1 when the kernel does not say.
    package static func allowedCores() -> Int {
        let key = "Cpus_allowed_list:"
        let line = self.text(of: "/proc/self/status")?.split(separator: "\n").first { $0.hasPrefix(key) }
        let list = line?.dropFirst(key.count).filter { !$0.isWhitespace }
        return list.flatMap { self.coreCount(list: $0) } ?? 1
    }

    /// How many cores there are in a list such as `1` or `0-3,8`; `nil` when it is none.
    package static func coreCount(list: some StringProtocol) -> Int? {
        var count = 0
        for part in list.split(separator: ",") {
            let ends = part.split(separator: "-").map { Int($0) }
            guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2, last >= first else {
                return nil
            }
            count += last - first + 1
        }
        return count > 0 ? count : nil
    }
}
