import CMultiBuffer

/// Whose AES-GCM protects packets. Both give the same bytes; AES-CM is always OpenSSL's.
package enum SRTPLibrary: Sendable, BitwiseCopyable, CaseIterable {
    case openSSL
    /// Intel's multi-buffer library, on x86-64: a third of OpenSSL's time for each packet, half of its memory.
    case multiBuffer

    /// What keeps the multi-buffer library from being used.
    package enum Obstacle: Sendable, BitwiseCopyable {
        /// Sluice was compiled without the library's header, or for another processor.
        case notBuilt
        case notInstalled
        /// Not of the version that Sluice was compiled for.
        case otherVersion
        /// The processor has no AES instructions, or the library failed its own test.
        case noInstructions
    }

    /// Finds out, the first time, by loading the library; `nil` when it can be used.
    package static var multiBufferObstacle: Obstacle? {
        switch mb_load() {
        case mb_ready: nil
        case mb_not_built: .notBuilt
        case mb_other_version: .otherVersion
        case mb_no_instructions: .noInstructions
        default: .notInstalled
        }
    }

    /// The multi-buffer library's version, such as "1.3.0"; empty where it can't be used.
    package static var multiBufferVersion: String { unsafe String(cString: mb_version()) }

    /// The fastest that this machine has.
    package static var fastest: SRTPLibrary { Self.multiBufferObstacle == nil ? .multiBuffer : .openSSL }
}

/// Owns one key of the multi-buffer library, or none, and wipes and frees it exactly once.
@safe struct MultiBufferKey: ~Copyable {
    let pointer: OpaquePointer?

    /// - Parameter key: 16 or 32 bytes; `nil` = none, OpenSSL does the work.
    init(_ key: [UInt8]?) throws(SRTPSetupError) {
        guard let key else {
            unsafe self.pointer = nil
            return
        }
        guard let pointer = unsafe mb_key_make(key, CInt(key.count)) else { throw .library }
        unsafe self.pointer = pointer
    }

    deinit { unsafe mb_key_free(self.pointer) }
}
