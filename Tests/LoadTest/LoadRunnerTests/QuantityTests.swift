import Basics
import LoadRunner
import TestSupport
import Testing

@Suite struct QuantityTests {
    @Test(
        arguments: [
            ("30s", 30_000_000_000), ("250ms", 250_000_000), ("80us", 80_000), ("2m", 120_000_000_000), ("0", 0),
            ("1.5 s", 1_500_000_000), ("1h", 3_600_000_000_000), ("7ns", 7),
        ] as [(String, Int64)]
    )
    func `times`(text: String, nanoseconds: Int64) {
        #expect(Quantity.duration(text) == Nanoseconds(nanoseconds))
    }

    @Test(arguments: ["", "30", "s", "-1s", "1 week", "1e3s", "1s2", "999999999999h", "1.2.3s", "٣s"])
    func `what is no time`(text: String) { #expect(Quantity.duration(text) == nil) }

    @Test(
        arguments: [
            ("1500k", 1_500_000), ("1.5M", 1_500_000), ("64kbps", 64_000), ("2 Mbit/s", 2_000_000), ("9600", 9_600),
        ] as [(String, Int64)]
    )
    func `bit rates`(text: String, bits: Int64) {
        #expect(Quantity.bitrate(text) == Bitrate(bitsPerSecond: bits))
    }

    @Test func `shares and rates`() {
        #expect(Quantity.fraction("2%") == 0.02)
        #expect(Quantity.fraction("0.5") == 0.5)
        #expect(Quantity.fraction("2x") == nil)
        #expect(Quantity.rate("50/s") == 50)
        #expect(Quantity.rate("30/min") == 0.5)
        #expect(Quantity.rate("5") == 5)
    }

    @Test(
        arguments: [
            (0, 2, "0"), (1_234_567, 0, "1,234,567"), (-1_234, 0, "-1,234"), (0.125, 2, "0.13"), (-0.5, 1, "-0.5"),
            (12.3456, 3, "12.346"), (999.9999, 2, "1,000"), (1_234.05, 2, "1,234.05"),
        ] as [(Double, Int, String)]
    )
    func `numbers for people`(value: Double, digits: Int, text: String) {
        #expect(Decimal.text(value, digits: digits) == text)
    }
}
