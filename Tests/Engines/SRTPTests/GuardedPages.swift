import Glibc

/// Two pages that may be read and written, between two that may not: a byte touched outside ends the test run.
final class GuardedPages {
    static let byteCount = 8_192
    private static let pageLength = 4_096
    private let mapping: UnsafeMutableRawPointer

    init() throws {
        let mapping = mmap(
            nil,
            Self.byteCount + 2 * Self.pageLength,
            PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS,
            -1,
            0
        )
        guard let mapping, mapping != MAP_FAILED else { throw MappingFailed() }
        self.mapping = mapping
        guard
            mprotect(mapping, Self.pageLength, PROT_NONE) == 0,
            mprotect(mapping + Self.pageLength + Self.byteCount, Self.pageLength, PROT_NONE) == 0
        else { throw MappingFailed() }
    }

    deinit { munmap(self.mapping, Self.byteCount + 2 * Self.pageLength) }

    /// `count` bytes right behind the forbidden page.
    func front(_ count: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: self.mapping + Self.pageLength, count: count)
    }

    /// `count` bytes right before the forbidden page.
    func back(_ count: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(
            start: self.mapping + Self.pageLength + Self.byteCount - count,
            count: count
        )
    }

    struct MappingFailed: Error {}
}
