/// Unwraps the timestamps of congestion control feedback (RFC 8888 §3.1): 32 bits of 1/65,536 s wrap every 18 hours.
struct ReportClock: Sendable, BitwiseCopyable {
    /// Beyond this a peer has made its clock run in circles: it begins again at zero, as if it had been set.
    private static let furthest: Int64 = 1 << 48

    private var last: UInt32?
    /// In 1/65,536 s; only differences mean anything.
    private var unwrapped: Int64 = 0

    mutating func unwrap(_ timestamp: UInt32) {
        let difference = Int32(bitPattern: timestamp &- (self.last ?? timestamp))
        self.last = timestamp
        self.unwrapped &+= Int64(difference)
        if self.unwrapped.magnitude > Self.furthest.magnitude { self.unwrapped = 0 }
    }

    /// - Parameter offset: 1/1024 s before the timestamp: 0...8,189.
    /// - Returns: microseconds of the receiver's clock.
    func microseconds(before offset: UInt16) -> Int64 {
        let units = self.unwrapped &- Int64(offset) << 6
        return (units &* 15_625) >> 10
    }
}
