import Basics

/// Whether the sender uses so little of its estimate that the estimate proves nothing ("application limited region",
/// libwebrtc, alr_detector): a budget of 65 % of the estimate over 500 ms that fills up while too little is sent.
struct ALRDetector: Sendable, BitwiseCopyable {
    private static let usage = 0.65
    private static let window = 0.5
    private static let enterRatio = 0.8
    private static let leaveRatio = 0.5

    private var target: Double
    /// In bits, -capacity...capacity.
    private var budget = 0.0
    private var lastSentAt: Instant?
    private(set) var startedAt: Instant?
    var isLimited: Bool { self.startedAt != nil }

    init(estimate: Double) { self.target = estimate * Self.usage }

    private var capacity: Double { self.target * Self.window }

    mutating func setEstimate(_ estimate: Double) {
        self.target = estimate * Self.usage
        self.budget = min(max(self.budget, -self.capacity), self.capacity)
    }

    mutating func sent(byteCount: Int, at now: Instant) {
        guard let last = self.lastSentAt else { return self.lastSentAt = now }
        let used = Double(max(byteCount, 0)) * 8
        let capacity = self.capacity
        self.budget = max(self.budget - used, -capacity)
        // Many packets leave at the same time.
        if now > last { self.budget += self.target * (now - last).inSeconds }
        self.budget = min(self.budget, capacity)
        self.lastSentAt = now
        if capacity > 0, self.budget > Self.enterRatio * capacity, self.startedAt == nil {
            self.startedAt = now
        } else if self.budget < Self.leaveRatio * capacity || capacity <= 0 {
            self.startedAt = nil
        }
    }
}
