import CAllocations
import Glibc
import Workloads

/// Fails when the packet path allocates: not even once in many thousand packets may it.
@main
enum AllocationCheck {
    static func main() {
        // That the counter counts at all is checked first.
        let probe = allocation_count()
        let array = Array(repeating: UInt8(1), count: Int(truncatingIfNeeded: probe % 7) + 4_096)
        guard allocation_count() > probe, !array.isEmpty else {
            print("error: allocations are not counted on this system")
            exit(2)
        }
        var failures = 0
        for workload in Workload.all() {
            workload.run(1_000)
            let operations = workload.repetitions * 10
            let before = allocation_count()
            workload.run(operations)
            let allocations = allocation_count() - before
            let isBroken = workload.isAllocationFree && allocations > 0
            if isBroken { failures += 1 }
            let verdict = isBroken ? "FAILED" : workload.isAllocationFree ? "ok" : "allowed"
            print("\(verdict)\t\(workload.name): \(allocations) allocations in \(operations) operations")
        }
        print(failures == 0 ? "the packet path does not allocate" : "\(failures) workloads allocate and must not")
        exit(failures == 0 ? 0 : 1)
    }
}
