/// What a picture is worth to its viewer: the logarithm of the pixels that are seen, times a curve of the frame rate.
///
/// The scale is set so that 160x90 is worth 1 and each further doubling of the pixels about 1 more.
enum PictureUtility {
    private static let unit: Float = 160 * 90

    /// - Parameters:
    ///   - pixels: of the layer, not more than the tile has.
    ///   - framesPerSecond: above 0.
    static func of(pixels: Float, framesPerSecond: Float, isScreenShare: Bool) -> Float {
        Self.binaryLogarithm(1 + pixels / Self.unit) * Self.motion(framesPerSecond, isScreenShare: isScreenShare)
    }

    /// 30 frames a second are 1. A camera loses a seventh at 15 and two fifths at 7.5; a screen is read more than
    /// watched, so it loses next to nothing and gives up frames before pixels.
    static func motion(_ framesPerSecond: Float, isScreenShare: Bool) -> Float {
        if isScreenShare {
            return Self.interpolate(framesPerSecond, at: [1, 5, 15, 30, 60], values: [0.7, 0.9, 0.97, 1, 1.01])
        }
        return Self.interpolate(framesPerSecond, at: [1, 7.5, 15, 30, 60], values: [0.15, 0.6, 0.85, 1, 1.05])
    }

    private static func interpolate(
        _ value: Float,
        at points: InlineArray<5, Float>,
        values: InlineArray<5, Float>
    ) -> Float {
        if value <= points[0] { return values[0] * max(value, 0) / points[0] }
        for index in 1..<5 where value <= points[index] {
            let part = (value - points[index - 1]) / (points[index] - points[index - 1])
            return values[index - 1] + part * (values[index] - values[index - 1])
        }
        return values[4]
    }

    /// log2 of a normal number above 0, to 1e-5, without the C library: the exponent, and a series for the rest.
    static func binaryLogarithm(_ value: Float) -> Float {
        guard value.isNormal, value > 0 else { return 0 }
        let bits = value.bitPattern
        let significand = Float(bitPattern: bits & 0x7F_FFFF | 0x3F80_0000)
        let ratio = (significand - 1) / (significand + 1)
        let square = ratio * ratio
        let series = ratio * (1 + square * (1.0 / 3 + square * (1.0 / 5 + square * (1.0 / 7 + square / 9))))
        return Float(Int32(bits >> 23) - 127) + series * 2.885_390_1
    }
}
