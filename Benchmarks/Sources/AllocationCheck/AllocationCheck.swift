import CAllocations
import Glibc
import Workloads

/// Fails when the packet path allocates, or copies more than a packet: not even once in many thousand packets may it.
@main
enum AllocationCheck {
    static func main() {
        // That the counters count at all is checked first.
        let probe = allocation_count()
        let copies = large_copy_count()
        var array = Array(repeating: UInt8(1), count: Int(truncatingIfNeeded: probe % 7) + 4_096)
        array.reserveCapacity(array.count * 2)
        guard allocation_count() > probe, large_copy_count() > copies, !array.isEmpty else {
            print("error: allocations or copies are not counted on this system")
            exit(2)
        }
        var failures = 0
        for workload in Workload.all() {
            workload.run(1_000)
            let operations = workload.repetitions * 10
            let (allocationsBefore, copiesBefore) = (allocation_count(), large_copy_count())
            workload.run(operations)
            let allocations = allocation_count() - allocationsBefore
            let copies = large_copy_count() - copiesBefore
            let isBroken = workload.isAllocationFree && allocations + copies > 0
            if isBroken { failures += 1 }
            let verdict = isBroken ? "FAILED" : workload.isAllocationFree ? "ok" : "allowed"
            print(
                "\(verdict)\t\(workload.name): \(allocations) allocations and \(copies) copies of more than",
                "\(LARGEST_COPY) bytes in \(operations) operations"
            )
        }
        print(
            failures == 0
                ? "the packet path neither allocates nor copies more than packets"
                : "\(failures) workloads allocate or copy and must not"
        )
        exit(failures == 0 ? 0 : 1)
    }
}
