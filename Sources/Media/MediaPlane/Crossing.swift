import Basics
import Forwarding
package import MediaControl
import Negotiation
import RTP

/// What another worker has to know of a published track to send it to subscribers of its own.
package struct TrackDescription: Sendable {
    struct Layer: Sendable {
        var ssrc: SSRC?
        var width: Int?
        var height: Int?
    }

    package let source: PublishedTrack
    var section: NegotiatedSection
    var purpose: TrackPurpose
    var speechRole: SpeechRole
    var isMuted: Bool
    /// In the order of the offer.
    var layers: [Layer]
}

/// What workers tell each other about tracks that cross. Reliable, in order, and rare: packets go through a `PacketRing`.
///
/// A `mirror` is the subscribing worker's name for its copy of a track; it never gives the same one twice.
package enum CrossingMessage: Sendable {
    // To the worker that the track is published on.
    /// Packets of the track are to be put into the ring from now on.
    case subscribe(PublishedTrack, mirror: UInt64, PacketRing)
    case unsubscribe(PublishedTrack, mirror: UInt64)
    /// A subscriber needs a key frame of a layer; its worker asks no more often than a `KeyFrameLimiter` lets it.
    case keyFrameWanted(PublishedTrack, layer: Int)
    /// The highest layer, by its place in the offer, that any of the worker's subscribers has use for.
    case layerWanted(PublishedTrack, mirror: UInt64, layer: Int?)

    // To the worker that subscribed.
    /// The track as it is now.
    case described(TrackDescription, mirror: UInt64)
    /// There is no such track any more.
    case ended(mirror: UInt64)

    /// Whether nothing is lost for good when the message is.
    var isRepeatedAnyway: Bool {
        if case .keyFrameWanted = self { return true }
        return false
    }
}

/// What stands at the front of a ring's slot.
struct CrossingRecord: BitwiseCopyable {
    enum Kind: UInt8 {
        /// To be kept and forwarded.
        case packet
        /// Of the last key frame and what followed it, sent when the mirror is new: to be kept only.
        case replayed
        /// Carries nothing; its number must leave no gap.
        case padding
        /// What sender reports said last: a `SenderReportClock` of a layer and the publisher's `PublisherClock`.
        case clocks
        /// All that was kept has been sent.
        case opened
    }

    var kind: Kind
    var layer: UInt8
    /// It came as a retransmission: its time of arrival says nothing about the publisher's clock.
    var isRecovered = false
    /// Of the packet without padding, behind the record.
    var byteCount: UInt16 = 0
    var payloadLength: UInt16 = 0
    /// Packets of this layer that found no room in the ring so far.
    var droppedCount: UInt32 = 0
    var mirror: UInt64
    /// The publisher's number, unwrapped.
    var sequence: Int64 = 0
    var arrival = Instant.zero

    init(_ kind: Kind, layer: Int, mirror: UInt64) {
        self.kind = kind
        self.layer = UInt8(truncatingIfNeeded: layer & 3)
        self.mirror = mirror
    }

    // Where a slot has the rest: `RTPHeaderInfo` of a packet, or the clocks; then the packet.
    static let factsOffset = 64
    static let publisherClockOffset = 160
    static let bytesOffset = PacketRing.recordByteCount
}

/// A worker that has subscribers of a track that is published here.
@safe
struct CrossingLink {
    let worker: Int
    let mirror: UInt64
    /// Kept alive by the router, for as long as it lives: counting references for each packet would cost more than
    /// the copy of it.
    let ring: Unmanaged<PacketRing>
    /// The highest layer that is wanted there, by its place in the offer; -1 = none. All are, until it says.
    var wantedLayer: Int8 = .max
    /// By layer.
    var dropped = SIMD4<UInt32>.zero
}

/// What a mirror is besides the track itself: the copy of another worker's track, from which this worker's subscribers
/// are served as from any other.
struct Mirror {
    let id: UInt64
    /// The worker that the track is published on.
    let home: Int
    /// The home worker sends what it keeps of the last key frame first; until that has come, nobody is asked for one.
    var isOpen = false
    var opensBy: Instant
    /// As the home worker has it.
    var publisherClock = PublisherClock()
    /// By layer: what found no room on the way here.
    var dropped = SIMD4<UInt32>.zero
    /// What the home worker was told last.
    var wantedLayer: Int? = .max
}

/// A router's share in the tracks that cross between workers.
@safe
struct Crossings {
    /// By the slot of their ids.
    var mirrors: [TrackPointer?] = unsafe []
    var freeSlots: [Int] = []
    var slotBySource: [PublishedTrack: Int] = [:]
    var lastGeneration: UInt32 = 0
    /// When mirrors are to be looked at.
    var deadline = Instant.distantFuture
    var nextWatch = Instant.zero
    /// By the other worker: the rings that this worker empties, and those that it fills.
    var inbound: [PacketRing?] = []
    var outbound: [PacketRing?] = []
    var messages: [(worker: Int, message: CrossingMessage)] = []

    /// The ring from a worker: made when it is first needed.
    mutating func ring(from worker: Int, wake: WakeEvent?) -> PacketRing {
        while self.inbound.count <= worker { self.inbound.append(nil) }
        if let ring = self.inbound[worker] { return ring }
        let ring = PacketRing(wake: wake)
        self.inbound[worker] = ring
        return ring
    }

    /// Keeps the ring to a worker. There is one, whatever a worker says: links hold it without counting references.
    mutating func keep(_ ring: PacketRing, to worker: Int) -> PacketRing {
        while self.outbound.count <= worker { self.outbound.append(nil) }
        if let ring = self.outbound[worker] { return ring }
        self.outbound[worker] = ring
        return ring
    }

    func mirror(_ id: UInt64) -> TrackPointer? {
        let slot = Int(id & 0xFFFF_FFFF)
        guard unsafe slot < self.mirrors.count, let track = unsafe self.mirrors[slot],
            unsafe track.pointee.mirror?.id == id
        else { return nil }
        return unsafe track
    }
}
