import LoadRunner
import TestSupport
import Testing

@Suite struct DistributionTests {
    @Test func `a quantile is the nearest rank`() {
        let values = Distribution((1...100).map(Double.init).reversed())
        #expect(values.quantile(0.5) == 50)
        #expect(values.quantile(0.95) == 95)
        #expect(values.quantile(0.99) == 99)
        #expect(values.quantile(0) == 1)
        #expect(values.quantile(1) == 100)
        #expect(values.largest == 100)
    }

    @Test func `one value is every quantile, and none has no quantile`() {
        #expect(Distribution([7]).quantile(0.01) == 7)
        #expect(Distribution([7]).quantile(0.99) == 7)
        #expect(Distribution([]).quantile(0.5) == nil)
    }

    @Test func `what is no number is left out`() {
        let values = Distribution([.nan, 3, .infinity, 1])
        #expect(values.count == 2)
        #expect(values.largest == 3)
    }
}
