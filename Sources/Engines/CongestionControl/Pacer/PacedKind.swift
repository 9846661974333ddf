public import Basics

/// What kind of packet asks to leave, in the order of who goes first.
@usableFromInline package enum PacedKind: UInt8, Sendable, BitwiseCopyable {
    /// Never waits and never counts: it is small, and late audio is no audio.
    case audio
    /// A packet that somebody waits for already.
    case retransmission
    case video
    /// Sent for the estimator only, when nothing else waits.
    case padding
}

/// What becomes of a packet that asks to leave.
@usableFromInline package enum PacerVerdict: UInt8, Sendable, BitwiseCopyable {
    /// It was charged: send it. `Pacer.currentProbe` says which cluster it belongs to.
    case sendNow
    /// `Pacer.next` hands its reference back when its time has come.
    case queued
    /// The queue is full: it is not kept. See `Pacer.makeRoom`.
    case refused
}

/// What to do next.
@usableFromInline package enum PacerAction<Reference: BitwiseCopyable & Sendable>: Sendable, BitwiseCopyable {
    /// It was charged: send it now, as part of the cluster `probe` (0 = of none).
    case packet(Reference, probe: UInt16)
    /// Send about so many bytes of padding, headers included, and tell `Pacer.sent` how many it were.
    case padding(byteCount: Int, probe: UInt16)
    /// Nothing to do before then; `distantFuture` = before something new comes.
    case wait(until: Instant)
}
