/// The two functions that the estimator needs of a mathematics library. Engines import none: these are the same to the
/// last bit on every platform, and so are the simulations.
enum Mathematics {
    private static let logarithmOfTwo = 0.693_147_180_559_945_3

    /// The natural logarithm of a positive, finite number, to 1e-14; `-infinity` for anything else.
    static func logarithm(_ value: Double) -> Double {
        guard value > 0, value.isFinite else { return -.infinity }
        // value = m * 2^e with m in 0.75..<1.5, then ln m = 2 artanh((m - 1) / (m + 1)).
        var mantissa = value.significand
        var exponent = Double(value.exponent)
        if mantissa >= 1.5 {
            mantissa /= 2
            exponent += 1
        }
        let x = (mantissa - 1) / (mantissa + 1)
        let square = x * x
        var term = x
        var sum = x
        for index in 1...10 {
            term *= square
            sum += term / Double(2 * index + 1)
        }
        return 2 * sum + exponent * Self.logarithmOfTwo
    }

    /// e to the power of -1...1, to 1e-15; arguments beyond are taken as those.
    static func exponential(_ value: Double) -> Double {
        let x = min(max(value, -1), 1)
        var term = 1.0
        var sum = 1.0
        for divisor in 1...18 {
            term *= x / Double(divisor)
            sum += term
        }
        return sum
    }
}
