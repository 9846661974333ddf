import Basics
import CongestionControl
import Forwarding

/// What each spatial and temporal layer of one published stream takes. The meters are made with the first packet, those
/// of higher spatial layers when there are any.
@safe
struct LayerRates: ~Copyable {
    /// Temporal layers 0...3; spatial layers 0...3 of them.
    private static let meterCounts = (single: 4, all: 16)
    private static let frameWindow = Nanoseconds.seconds(1)
    /// What header extensions, tag, UDP and IP add to a packet on its way to a subscriber, about.
    static let overhead = 76

    /// Of operating points, not of layers: bytes of all that a subscriber at that point is sent.
    private var meters: UnsafeMutablePointer<LayerRateMeter>?
    private var meterCount = 0
    /// When a frame of each temporal layer last came.
    private var lastSeen = SIMD4<Int64>(repeating: .min)
    /// The highest spatial layer that was lately sent: 0...3.
    private(set) var topSpatial = 0
    // Frames by temporal layer: of the window, and in a second of the one before.
    private var frameCounts = SIMD4<Float>.zero
    private var frameRates = SIMD4<Float>.zero
    private var windowEnd = Instant.zero

    init() { unsafe self.meters = nil }

    deinit { unsafe self.meters?.deallocate() }

    /// - Parameter byteCount: of the payload.
    mutating func received(_ frame: FrameInfo, byteCount: Int, at now: Instant) {
        let meters = unsafe self.meters(frame.topSpatialID & 3 > 0 ? Self.meterCounts.all : Self.meterCounts.single)
        let startsFrame = frame.flags.contains(.first)
        self.topSpatial = Int(frame.topSpatialID & 3)
        self.lastSeen[Int(frame.temporalID & 3)] = now.nanoseconds
        for spatial in 0...self.topSpatial {
            for temporal in 0..<4 where frame.members.contains(spatial: spatial, temporal: temporal) {
                guard self.isSeen(temporal, at: now) else { continue }
                unsafe meters[spatial * 4 + temporal].received(
                    byteCount: byteCount + Self.overhead,
                    startsFrame: startsFrame,
                    at: now
                )
            }
        }
        guard startsFrame, frame.spatialID == 0 else { return }
        if now >= self.windowEnd {
            let elapsed = now - self.windowEnd + Self.frameWindow
            // After a pause there is no rate yet.
            self.frameRates =
                elapsed < Self.frameWindow * 2 ? self.frameCounts / Float(elapsed.inSeconds) : .zero
            self.frameCounts = .zero
            self.windowEnd = now + Self.frameWindow
        }
        self.frameCounts[Int(frame.temporalID & 3)] += 1
    }

    private func isSeen(_ temporal: Int, at now: Instant) -> Bool {
        let last = self.lastSeen[temporal & 3]
        return last != .min && now.nanoseconds &- last < LayerRateMeter.goneAfter.count
    }

    /// At least so many.
    @inline(__always)
    private mutating func meters(_ count: Int) -> UnsafeMutablePointer<LayerRateMeter> {
        if let meters = unsafe self.meters, self.meterCount >= count { return unsafe meters }
        return unsafe self.makeMeters(count)
    }

    private mutating func makeMeters(_ count: Int) -> UnsafeMutablePointer<LayerRateMeter> {
        let meters = UnsafeMutablePointer<LayerRateMeter>.allocate(capacity: count)
        unsafe meters.initialize(repeating: LayerRateMeter(), count: count)
        if let old = unsafe self.meters {
            unsafe meters.update(from: old, count: self.meterCount)
            unsafe old.deallocate()
        }
        unsafe self.meters = unsafe meters
        self.meterCount = count
        return unsafe meters
    }

    private func isPresent(spatial: Int, temporal: Int, at now: Instant) -> Bool {
        guard let meters = unsafe self.meters, spatial * 4 + temporal < self.meterCount, self.isSeen(temporal, at: now)
        else { return false }
        return unsafe meters[spatial * 4 + temporal].isPresent(at: now)
    }

    /// What all layers together take; `nil` = not known yet, or nothing comes.
    func whole(at now: Instant) -> Bitrate? {
        guard let meters = unsafe self.meters else { return nil }
        var highest: Bitrate?
        for temporal in 0..<4 where self.isPresent(spatial: self.topSpatial, temporal: temporal, at: now) {
            guard let bitrate = unsafe meters[self.topSpatial * 4 + temporal].bitrate(at: now) else { continue }
            highest = max(highest ?? .zero, bitrate)
        }
        return highest
    }

    /// Adds the operating points of this stream to a request.
    ///
    /// - Parameters:
    ///   - rank: of the stream among the simulcast layers; `nil` = it is the only one, and its spatial layers count.
    ///   - size: of the largest picture; 0 = unknown.
    ///   - factor: 1 and up: what retransmissions add.
    func addOffers(
        to request: inout AllocationRequest,
        rank: Int?,
        size: (width: Int, height: Int),
        factor: Float,
        at now: Instant
    ) {
        guard let meters = unsafe self.meters else { return }
        for spatial in (rank == nil ? 0 : self.topSpatial)...self.topSpatial {
            var frames: Float = 0
            for temporal in 0..<4 {
                frames += self.frameRates[temporal]
                guard self.isPresent(spatial: spatial, temporal: temporal, at: now) else { continue }
                // Before there is half a second of it nobody knows what it takes; a guess could hold it back.
                guard let bitrate = unsafe meters[spatial * 4 + temporal].bitrate(at: now) else { continue }
                let shift = self.topSpatial - spatial
                request.add(
                    LayerOffer(
                        spatial: UInt8(rank ?? spatial),
                        temporal: UInt8(temporal),
                        bitrate: Bitrate(bitsPerSecond: Int64(Float(bitrate.bitsPerSecond) * factor)),
                        width: Int32(clamping: size.width >> shift),
                        height: Int32(clamping: size.height >> shift),
                        framesPerSecond: frames
                    )
                )
            }
        }
    }
}
