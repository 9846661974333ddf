import CAllocations
import Glibc
import Workloads

/// Fails when the packet path allocates, retains or releases, or copies more than a packet: not even once in many thousand
/// packets may it.
@main
enum AllocationCheck {
    private final class Probe {}

    /// What the process has done so far.
    private struct Counts {
        let allocations = allocation_count()
        let references = reference_change_count()
        let copies = large_copy_count()
    }

    static func main() {
        self.probe()
        var failures = 0
        for workload in Workload.all() {
            workload.run(1_000)
            let operations = workload.repetitions * 10
            let before = Counts()
            workload.run(operations)
            let after = Counts()
            let allocations = after.allocations - before.allocations
            let references = after.references - before.references
            // That it is begun at all takes two.
            let allowed = UInt64((workload.harnessReferences * Double(operations)).rounded(.up)) + 2
            let copies = after.copies - before.copies
            let isBroken = workload.isAllocationFree && (allocations + copies > 0 || references > allowed)
            if isBroken { failures += 1 }
            let verdict = isBroken ? "FAILED" : workload.isAllocationFree ? "ok" : "allowed"
            print(
                "\(verdict)\t\(workload.name): \(allocations) allocations, \(references) retains and releases",
                "(of its harness up to \(allowed)), \(copies) copies of more than \(LARGEST_COPY) bytes in \(operations) operations"
            )
        }
        print(
            failures == 0
                ? "the packet path neither allocates nor counts references nor copies more than packets"
                : "\(failures) workloads allocate, retain, release or copy and must not"
        )
        exit(failures == 0 ? 0 : 1)
    }

    /// That the counters count at all is checked first.
    private static func probe() {
        let before = Counts()
        var array = Array(repeating: UInt8(1), count: Int(truncatingIfNeeded: before.allocations % 7) + 4_096)
        array.reserveCapacity(array.count * 2)
        let object = Probe()
        var holders: [Probe] = []
        for _ in 0..<array.count / 1_000 { holders.append(object) }
        let after = Counts()
        guard after.allocations > before.allocations, after.copies > before.copies,
            !counts_references() || after.references - before.references >= UInt64(holders.count), !array.isEmpty
        else {
            print("error: allocations, retains or copies are not counted on this system")
            exit(2)
        }
    }
}
