/// One thing that is done over and over: measured by `PacketPath`, and checked for allocations and large copies by
/// `AllocationCheck`.
package struct Workload {
    package let name: String
    /// The packet path: it must neither allocate nor copy more than a packet at once.
    package let isAllocationFree: Bool
    /// Retains and releases of what drives it, for each time that it is done.
    package let harnessReferences: Double
    /// How often to do it for one measurement, so that one takes milliseconds.
    package let repetitions: Int
    /// Does it so many times.
    package let run: (Int) -> Void

    init(
        _ name: String,
        allocates: Bool = false,
        harnessReferences: Double = 0,
        repetitions: Int = 10_000,
        run: @escaping (Int) -> Void
    ) {
        self.name = name
        self.harnessReferences = harnessReferences
        self.isAllocationFree = !allocates
        self.repetitions = repetitions
        self.run = run
    }

    /// - Parameter subscribers: of the workloads that forward.
    package static func all(subscribers: Int = 100) -> [Workload] {
        Self.wire() + Self.encryption() + Self.checks() + Self.congestion() + Self.forwarding(subscribers)
    }
}

/// Where results go, so that no work is left out as useless.
package enum BlackHole {
    nonisolated(unsafe) private static var sum = 0

    @inline(never)
    static func take(_ value: Int) { Self.sum &+= value }
}

/// Memory of a fixed size that lives as long as its workload.
final class Buffer {
    let bytes: UnsafeMutableRawBufferPointer

    init(_ count: Int) {
        self.bytes = .allocate(byteCount: count, alignment: 16)
        self.bytes.initializeMemory(as: UInt8.self, repeating: 0)
    }

    convenience init(_ contents: [UInt8], room: Int = 0) {
        self.init(contents.count + room)
        self.bytes.copyBytes(from: contents)
    }

    deinit { self.bytes.deallocate() }
}
