/// Where a value came from, as an error and `sluice check-config` name it.
package enum ConfigurationOrigin: Sendable, Equatable, CustomStringConvertible {
    case flag(String)
    case environment(String)
    /// What `--dev` chooses.
    case development
    /// `line` counts from 1; 0 where it is not known.
    case file(path: String, line: Int)
    case fallback

    package var description: String {
        switch self {
        case .flag(let name): "flag \(name)"
        case .environment(let name): "environment variable \(name)"
        case .development: "--dev"
        case .file(let path, 0): path
        case .file(let path, let line): "\(path), line \(line)"
        case .fallback: "default"
        }
    }
}

/// Why the configuration can't be used. Each describes itself in one sentence that says what to do.
package enum ConfigurationError: Error, Equatable, CustomStringConvertible {
    case unknownKey(name: String, origin: ConfigurationOrigin, nearest: String)
    /// `value` is `[redacted]` for secrets.
    case badValue(key: String, value: String, origin: ConfigurationOrigin, mend: String)
    /// A key that must be set, given the others, is not.
    case missing(key: String, mend: String)
    case misusedFlag(String, mend: String)
    case unreadableFile(path: String, reason: String)
    case malformedFile(path: String, line: Int, reason: String)

    package var description: String {
        switch self {
        case .unknownKey(let name, .file(let path, let line), let nearest):
            "\(path), line \(line): there is no key \(name): did you mean \(nearest)?"
        case .unknownKey(let name, .flag, let nearest):
            "There is no flag \(name): did you mean \(nearest)?"
        case .unknownKey(let name, _, let nearest):
            "There is no key for the environment variable \(name): did you mean \(nearest)?"
        case .badValue(let key, let value, let origin, let mend):
            "\(key) is \"\(printable(value))\" (\(origin)): \(mend)."
        case .missing(let key, let mend):
            "\(key) is not set: \(mend)."
        case .misusedFlag(let flag, let mend):
            "\(printable(flag)): \(mend)."
        case .unreadableFile(let path, let reason):
            "The configuration file \(path) can't be read (\(reason)): check the path after --config and its permissions."
        case .malformedFile(let path, let line, let reason):
            "\(path), line \(line) is not YAML that Sluice understands: \(printable(reason))."
        }
    }
}

/// At most 100 characters, without any that could steer a terminal (ATTACKS A-78).
func printable(_ text: String) -> String {
    let shown = text.unicodeScalars.prefix(100).map { scalar -> String in
        scalar.properties.generalCategory == .control ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
    }
    return shown.joined() + (text.unicodeScalars.count > 100 ? "..." : "")
}
