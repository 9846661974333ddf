import CFuzzer
import Glibc

/// What a fuzz target does with one input.
///
/// libFuzzer hands out a heap copy of exactly the input's size, so AddressSanitizer sees a read of one byte too many.
package typealias FuzzProperty = @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt

/// Runs libFuzzer with the process's own arguments. `property` must hold for every input: it traps where it does not.
package func fuzz(_ property: @escaping FuzzProperty) -> Never {
    var argumentCount = CommandLine.argc
    var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
    exit(LLVMFuzzerRunDriver(&argumentCount, &arguments, property))
}

/// Stops the run, and so keeps the input, when a rule is broken.
@inline(__always)
package func require(_ condition: Bool, _ rule: @autoclosure () -> String, line: UInt = #line) {
    if !condition { fatalError("broken rule: \(rule()) (line \(line))") }
}

/// Bytes of their own on the heap, of exactly this size: for what works in place.
package func withHeapCopy<Result>(
    of bytes: UnsafeRawBufferPointer,
    _ body: (UnsafeMutableRawBufferPointer) -> Result
) -> Result {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { copy.deallocate() }
    copy.copyMemory(from: bytes)
    return body(copy)
}
