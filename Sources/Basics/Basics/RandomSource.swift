/// Where an engine's random numbers come from: the system, or a seed that makes a run repeatable.
///
/// A concrete type, so that engines can keep one without a generic parameter in every signature.
@usableFromInline package enum RandomSource: RandomNumberGenerator, Sendable {
    case system
    /// SplitMix64: fast, and of no use where secrecy matters.
    case seeded(state: UInt64)

    @usableFromInline package mutating func next() -> UInt64 {
        switch self {
        case .system:
            var generator = SystemRandomNumberGenerator()
            return generator.next()
        case .seeded(var state):
            state &+= 0x9E37_79B9_7F4A_7C15
            self = .seeded(state: state)
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }
}
