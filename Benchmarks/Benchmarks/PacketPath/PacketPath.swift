import Benchmark
import Workloads

// Instructions and allocations are not here: virtual machines have no counters for the former, and `AllocationCheck`
// counts the latter exactly.
let benchmarks: @Sendable () -> Void = {
    for workload in Workload.all() {
        Benchmark(
            workload.name,
            configuration: Benchmark.Configuration(
                metrics: [.throughput, .cpuTotal],
                warmupIterations: 3,
                scalingFactor: .one,
                maxDuration: .seconds(2),
                maxIterations: 500
            )
        ) { benchmark in
            _ = benchmark
        }
    }
}
