/// A secret, or a personal detail, that no log line or error may print by accident.
@usableFromInline
package struct Redacted<Value: Sendable>: Sendable, CustomStringConvertible, CustomDebugStringConvertible {
    package let value: Value
    package init(_ value: Value) { self.value = value }
    @usableFromInline package var description: String { "[redacted]" }
    @usableFromInline package var debugDescription: String { "[redacted]" }
}

extension Redacted: Equatable where Value: Equatable {}
extension Redacted: Hashable where Value: Hashable {}

/// Compares two secrets in time that does not depend on where they differ (ATTACKS A-14).
package func constantTimeEqual(_ lhs: some Collection<UInt8>, _ rhs: some Collection<UInt8>) -> Bool {
    guard lhs.count == rhs.count else { return false }
    var difference: UInt8 = 0
    for (left, right) in zip(lhs, rhs) { difference |= left ^ right }
    return difference == 0
}
