import Basics
import Configuration

/// What the process was started with; kept, because a reload resolves everything again.
package struct ConfigurationRequest: Sendable {
    /// The path after `--config`.
    package var file: String?
    /// Whether `--dev` was given.
    package var development: Bool
    /// `--KEY VALUE` and `--KEY=VALUE`, without the flags that are no keys.
    package var arguments: [String]
    package var environment: [String: String]

    package init(
        file: String? = nil,
        development: Bool = false,
        arguments: [String] = [],
        environment: [String: String] = [:]
    ) {
        self.file = file
        self.development = development
        self.arguments = arguments
        self.environment = environment
    }
}

/// The layers, strongest first: flag, environment, what `--dev` chooses, file, default.
struct ConfigurationSources {
    let isDevelopment: Bool
    private let flags: CommandLineArgumentsProvider
    private let environment: EnvironmentVariablesProvider
    private let file: ConfigurationFile?
    private let path: String

    init(_ request: ConfigurationRequest) throws(ConfigurationError) {
        try Self.checkFlags(request.arguments)
        let variables = try Self.variables(request.environment)
        // The provider's own reader drops the first argument as the name of the program.
        self.flags = CommandLineArgumentsProvider(arguments: ["sluice"] + request.arguments)
        self.environment = EnvironmentVariablesProvider(environmentVariables: variables)
        self.path = request.file ?? ""
        if let path = request.file { self.file = try ConfigurationFile(path: path) } else { self.file = nil }
        self.isDevelopment =
            request.development
            || request.file == nil && variables["AUTH_KEYS"] == nil
                && !request.arguments.contains { $0 == "--auth-keys" || $0.hasPrefix("--auth-keys=") }
    }

    /// The strongest text that is set for a key.
    func text(for key: ConfigurationKey) -> (elements: [String], origin: ConfigurationOrigin) {
        let name = AbsoluteConfigKey(key.components)
        if let elements = Self.list(self.flags, name) {
            // The provider splits at commas; only a list means it.
            return (key.isList ? elements : [elements.joined(separator: ",")], .flag(key.flag))
        }
        if key.isList, let elements = Self.list(self.environment, name) {
            return (elements, .environment(key.variable))
        }
        if !key.isList, let result = try? self.environment.value(forKey: name, type: .string),
            case .string(let text)? = result.value?.content
        {
            return ([text], .environment(key.variable))
        }
        if self.isDevelopment, let elements = key.development { return (elements, .development) }
        if let file = self.file, let elements = Self.list(file.provider, name) {
            return (elements, .file(path: self.path, line: file.lines[key.name] ?? 0))
        }
        return (key.fallback, .fallback)
    }

    private static func list(_ provider: some ConfigProvider, _ name: AbsoluteConfigKey) -> [String]? {
        // Reading text as text can't fail, so an error is the same as not set.
        guard let result = try? provider.value(forKey: name, type: .stringArray),
            case .stringArray(let elements)? = result.value?.content
        else { return nil }
        return elements
    }

    private static func checkFlags(_ arguments: [String]) throws(ConfigurationError) {
        var seen: Set<String> = []
        var index = arguments.startIndex
        while index < arguments.endIndex {
            let argument = arguments[index]
            guard argument.hasPrefix("--") else {
                throw .misusedFlag(argument, mend: "give values after a flag, as in --http-port 8080")
            }
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let flag = String(parts[0])
            guard ConfigurationKeys.all.contains(where: { $0.flag == flag }) else {
                let known = ConfigurationKeys.all.map(\.flag) + ["--config", "--dev", "--help"]
                throw .unknownKey(
                    name: printable(flag),
                    origin: .flag(flag),
                    nearest: nearestName(to: flag, among: known) ?? ""
                )
            }
            guard seen.insert(flag).inserted else { throw .misusedFlag(flag, mend: "give it once") }
            index += 1
            if parts.count == 2 { continue }
            guard index < arguments.endIndex, !arguments[index].hasPrefix("--") else {
                throw .misusedFlag(flag, mend: "give a value after it, as in \(flag) VALUE")
            }
            index += 1
        }
    }

    /// The variables that are ours, without their prefix. An empty one counts as not set.
    private static func variables(_ environment: [String: String]) throws(ConfigurationError) -> [String: String] {
        var variables: [String: String] = [:]
        let known = ConfigurationKeys.all.map(\.variable)
        for (name, value) in environment.sorted(by: { $0.key < $1.key }) where name.hasPrefix("SLUICE_") {
            if !known.contains(name) {
                if isServiceLink(name) { continue }
                let nearest = nearestName(to: name, among: known) ?? ""
                throw .unknownKey(name: printable(name), origin: .environment(name), nearest: nearest)
            }
            if !value.isEmpty { variables[String(name.dropFirst("SLUICE_".count))] = value }
        }
        return variables
    }

    /// Kubernetes puts `SLUICE_PORT`, `SLUICE_SERVICE_HOST`, `SLUICE_PORT_8080_TCP_ADDR` and the like into every pod
    /// when a service is called sluice: they are nobody's mistake.
    private static func isServiceLink(_ name: String) -> Bool {
        name == "SLUICE_PORT" || name.contains("_SERVICE_HOST") || name.contains("_SERVICE_PORT")
            || name.contains("_TCP") || name.contains("_UDP")
    }
}
