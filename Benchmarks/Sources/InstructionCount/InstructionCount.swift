import CMeasured
import Workloads

/// Runs each step of the packet path under callgrind, which counts the instructions: see Benchmarks/instructions.sh.
@main
enum InstructionCount {
    static func main() {
        // What Intel's library costs is its own affair, and not every machine has it.
        let workloads = Workload.all(subscribers: 20).filter { $0.isAllocationFree && !$0.name.contains("ipsec-mb") }
        for workload in workloads {
            // What is made on first use does not count.
            workload.run(20)
            let operations = workload.repetitions / 10
            var body = { workload.run(operations) }
            withUnsafeMutablePointer(to: &body) { pointer in
                measured_call({ context in context?.assumingMemoryBound(to: (() -> Void).self).pointee() }, pointer)
            }
            // The script reads these, in the order of callgrind's dumps.
            print("\(operations)\t\(workload.name)")
        }
    }
}
