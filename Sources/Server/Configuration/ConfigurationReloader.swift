import Foundation
import ServiceLifecycle

/// What became of a changed file.
package enum ReloadOutcome: Sendable {
    /// The new configuration, and by name the keys that took effect. `needRestart` names keys whose change did not:
    /// the configuration still has their old values. `certificateChanged`: the
    /// contents of a TLS file did, under the same path.
    case applied(LoadedConfiguration, changed: [String], needRestart: [String], certificateChanged: Bool)
    /// The old configuration stays.
    case rejected(ConfigurationError)
}

/// Decides what a reload changes. A value, so that tests need neither a clock nor a task.
package struct ConfigurationReload: Sendable {
    private let request: ConfigurationRequest
    package private(set) var current: LoadedConfiguration
    private var configurationStamp: FileStamp?
    private var certificateStamps: [FileStamp?]

    package init(_ request: ConfigurationRequest, current: LoadedConfiguration) {
        self.request = request
        self.current = current
        self.configurationStamp = request.file.flatMap(FileStamp.init)
        self.certificateStamps = Self.stamps(of: current.configuration.http.tls)
    }

    /// Reloads when the configuration file or a TLS file is another than at the last look.
    package mutating func reloadIfChanged() -> ReloadOutcome? {
        let isSame =
            self.request.file.flatMap(FileStamp.init) == self.configurationStamp
            && Self.stamps(of: self.current.configuration.http.tls) == self.certificateStamps
        return isSame ? nil : self.reload()
    }

    package mutating func reload() -> ReloadOutcome {
        self.configurationStamp = self.request.file.flatMap(FileStamp.init)
        do {
            var next = try ConfigurationLoader.load(self.request)
            let old = self.current.configuration
            let differing = ConfigurationKeys.all.filter { !$0.isEqual(old, next.configuration) }
            for key in differing where !key.isReloadable { key.copy(old, &next.configuration) }
            self.current = next
            let stamps = Self.stamps(of: next.configuration.http.tls)
            defer { self.certificateStamps = stamps }
            return .applied(
                next,
                changed: differing.filter(\.isReloadable).map(\.name),
                needRestart: differing.filter { !$0.isReloadable }.map(\.name),
                certificateChanged: stamps != self.certificateStamps
            )
        } catch {
            self.certificateStamps = Self.stamps(of: self.current.configuration.http.tls)
            return .rejected(error)
        }
    }

    private static func stamps(of tls: TLSConfiguration) -> [FileStamp?] {
        [tls.certificate, tls.privateKey].map { $0.flatMap(FileStamp.init) }
    }
}

/// Tells whether a path has other contents than before, also when a symbolic link was turned to another file.
private struct FileStamp: Equatable, Sendable {
    private let modified: Date
    private let size: UInt64
    private let inode: UInt64

    init?(_ path: String) {
        let target = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: target),
            let modified = attributes[.modificationDate] as? Date
        else { return nil }
        self.modified = modified
        self.size = (attributes[.size] as? NSNumber)?.uint64Value ?? 0
        self.inode = (attributes[.systemFileNumber] as? NSNumber)?.uint64Value ?? 0
    }
}

/// Looks at the files every two seconds, and at once when asked (SIGHUP).
package actor ConfigurationReloader: Service {
    private var state: ConfigurationReload
    private let interval: Duration
    private let report: @Sendable (ReloadOutcome) async -> Void

    package init(
        _ request: ConfigurationRequest,
        current: LoadedConfiguration,
        interval: Duration = .seconds(2),
        report: @escaping @Sendable (ReloadOutcome) async -> Void
    ) {
        self.state = ConfigurationReload(request, current: current)
        self.interval = interval
        self.report = report
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            while (try? await Task.sleep(for: self.interval)) != nil {
                if let outcome = await self.look() { await self.report(outcome) }
            }
        }
    }

    /// Reloads whether or not anything changed.
    package func reloadNow() async {
        await self.report(self.state.reload())
    }

    private func look() -> ReloadOutcome? { self.state.reloadIfChanged() }
}
