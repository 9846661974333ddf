import LoadClient
import TestSupport
import Testing

@Suite struct LatencyHistogramTests {
    @Test func `quantiles are within 4 percent of the values, over six decades`() {
        var random = SeededRandom(seed: 1)
        for scale in [20_000, 500_000, 3_000_000, 80_000_000, 5_000_000_000] as [Int64] {
            var histogram = LatencyHistogram()
            var values: [Int64] = []
            for _ in 0..<10_000 {
                let value = Int64.random(in: scale / 2...scale, using: &random)
                values.append(value)
                histogram.record(nanoseconds: value)
            }
            values.sort()
            for quantile in [0.5, 0.95, 0.99] {
                let exact = Double(values[Int(10_000 * quantile) - 1]) / 1e6
                let measured = histogram.milliseconds(at: quantile)
                #expect(abs(measured - exact) <= max(exact * 0.04, 0.001), "\(quantile) of \(scale)")
            }
        }
    }

    @Test func `an empty one says 0, and negative times count as none`() {
        var histogram = LatencyHistogram()
        #expect(histogram.milliseconds(at: 0.99) == 0)
        histogram.record(nanoseconds: -5)
        #expect(histogram.count == 1)
        #expect(histogram.milliseconds(at: 0.99) == 0)
        histogram.record(nanoseconds: .max)
        #expect(histogram.milliseconds(at: 1) > 3_600_000)
    }

    @Test func `merging is the same as recording everything in one`() {
        var (left, right, both) = (LatencyHistogram(), LatencyHistogram(), LatencyHistogram())
        for value in stride(from: 1_000, to: 9_000_000, by: 7_919) as StrideTo<Int64> {
            if value % 2 == 0 { left.record(nanoseconds: value) } else { right.record(nanoseconds: value) }
            both.record(nanoseconds: value)
        }
        left.merge(right)
        #expect(left.count == both.count)
        for quantile in [0.1, 0.5, 0.9, 0.999] {
            #expect(left.milliseconds(at: quantile) == both.milliseconds(at: quantile))
        }
    }
}

@Suite struct ServerAddressTests {
    @Test(arguments: [
        ("http://127.0.0.1:8080", "127.0.0.1", 8_080, false),
        ("https://sluice.example/path", "sluice.example", 443, true),
        ("ws://host", "host", 80, false),
        ("http://[::1]:9000/", "::1", 9_000, false),
        ("HTTPS://[2001:db8::1]", "2001:db8::1", 443, true),
    ])
    func `host, port and security of a URL`(url: String, host: String, port: Int, isSecure: Bool) {
        let address = ServerAddress(url)
        #expect(address?.host == host)
        #expect(address?.port == port)
        #expect(address?.isSecure == isSecure)
    }

    @Test(arguments: ["", "127.0.0.1:8080", "ftp://host", "http://", "http://host:0", "http://host:x"])
    func `what is no URL of a server`(url: String) {
        #expect(ServerAddress(url) == nil)
    }
}
