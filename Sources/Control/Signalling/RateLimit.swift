import Basics
import NIOCore
import Synchronization

/// How often each address may join.
final class AddressLimiter: Sendable {
    private let buckets = Mutex<[String: TokenBucket]>([:])
    /// Addresses remembered; past it the idle ones go first, then all (who floods from so many is not stopped by
    /// counting addresses).
    private let maxAddresses: Int

    init(maxAddresses: Int = 10_000) { self.maxAddresses = maxAddresses }

    /// - Parameter perSecond: 0 = no limit.
    func admit(_ address: SocketAddress?, perSecond: Int, at now: Instant) -> Bool {
        guard perSecond > 0 else { return true }
        let key = Self.network(of: address)
        return self.buckets.withLock { buckets in
            if buckets.count >= self.maxAddresses, buckets[key] == nil {
                buckets = buckets.filter { !$0.value.isFull(at: now) }
                if buckets.count >= self.maxAddresses { buckets.removeAll() }
            }
            var bucket = buckets[key] ?? TokenBucket(perSecond: Double(perSecond), at: now)
            // A reload has changed the limit.
            if bucket.perSecond != Double(perSecond) { bucket = TokenBucket(perSecond: Double(perSecond), at: now) }
            defer { buckets[key] = bucket }
            return bucket.take(at: now)
        }
    }

    /// The address of IPv4; the /64 of IPv6, since a host has a whole one to choose from.
    private static func network(of address: SocketAddress?) -> String {
        guard let text = address?.ipAddress else { return "" }
        guard case .v6 = address, let parsed = TransportAddress(text, port: 0), !parsed.isIPv4 else { return text }
        return String(parsed.high, radix: 16)
    }
}
