import Synchronization

/// What a reload may change while connections are open.
final class LiveSettings: Sendable {
    private let current: Mutex<SignallingLimits>

    init(limits: SignallingLimits) { self.current = Mutex(limits) }

    var limits: SignallingLimits {
        get { self.current.withLock { $0 } }
        set { self.current.withLock { $0 = newValue } }
    }
}
