/// What in a packet's header is of the moment that it was sent in, for a second sealing to the same bytes.
struct HeaderMark: BitwiseCopyable {
    /// How many are kept: 1.28 s of audio.
    static let count = 64

    /// The outgoing number, unwrapped; `.min` = none.
    var outgoing = Int64.min
    /// Of `AbsoluteSendTime`.
    var sendTime: UInt32 = 0
    /// The transport-wide number; `nil` = the packet had none.
    var transportSequence: UInt16?
}
