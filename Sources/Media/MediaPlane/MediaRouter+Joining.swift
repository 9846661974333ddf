import Basics
import CongestionControl
import Forwarding
import RTP

/// How a subscriber gets its first picture.
extension MediaRouter {
    /// A key frame and what followed it may take so long on their way; a new key frame comes sooner otherwise.
    private static let longestReplay = Nanoseconds.milliseconds(500)

    /// libwebrtc's encoders hear no request within 300 ms of another, for whichever layer. Sent too soon it is lost, and the
    /// next one comes half a second later.
    private static let encoderInterval = Nanoseconds.milliseconds(330)
    /// How long a better picture waits for others who want the same.
    private static let sharingTime = Nanoseconds.milliseconds(300)

    /// Gets a picture for a leg that has none: from the packets of the last key frame where they are kept, so that a
    /// joiner costs nobody a key frame (forwarding.md), else from the publisher.
    ///
    /// - Parameter layer: its place in the offer.
    /// - Returns: whether a request went to the publisher.
    @discardableResult
    mutating func getPicture(for leg: LegPointer, layer: Int, at now: Instant) -> Bool {
        guard let track = unsafe leg.pointee.track, unsafe leg.pointee.kind == .video else { return false }
        if unsafe leg.pointee.selector.current == nil, unsafe self.replay(layer, of: track, to: leg, at: now) {
            return false
        }
        var patience = Nanoseconds.zero
        if unsafe leg.pointee.selector.current != nil {
            if unsafe self.isWantedSoon(layer, of: track, besides: leg, at: now) { patience = Self.sharingTime }
            for other in unsafe 0..<track.pointee.layerCount where other != layer {
                guard let lastSent = unsafe track.pointee.layers[other].keyFrames.lastSent else { continue }
                patience = max(patience, lastSent + Self.encoderInterval - now)
            }
        }
        return unsafe self.requestKeyFrame(of: track, layer: layer, patience: patience, at: now)
    }

    /// Whether a leg that has a picture and is to get a better one had better wait for others: those who have just come,
    /// and those who are about to rise, are likely to want the same layer. Who joins together costs one key frame then.
    private func isWantedSoon(_ layer: Int, of track: TrackPointer, besides leg: LegPointer, at now: Instant) -> Bool {
        let rank = unsafe track.pointee.rank(layer: layer)
        guard let current = unsafe leg.pointee.selector.current, current < rank else { return false }
        for other in unsafe Each(track.pointee.legs) {
            // Who has it for a target has asked for it already.
            guard unsafe other != leg, unsafe other.pointee.selector.target ?? -1 < rank,
                unsafe other.pointee.highestWantedRank ?? -1 >= rank,
                let bandwidth = unsafe other.pointee.session.pointee.bandwidth
            else { continue }
            let isNew = unsafe now < bandwidth.pointee.graceUntil
            if unsafe isNew || other.pointee.decision?.reason == .settling { return true }
        }
        return false
    }

    /// Sends a leg the last key frame and what followed it, as if all of it came now. Returns whether it did.
    private mutating func replay(_ layer: Int, of track: TrackPointer, to leg: LegPointer, at now: Instant) -> Bool {
        guard layer >= 0, unsafe layer < track.pointee.layerCount, unsafe !track.pointee.isMuted,
            unsafe leg.pointee.session.pointee.isConnected, unsafe !leg.pointee.isPaused,
            unsafe !leg.pointee.isOnHold
        else { return false }
        let source = unsafe track.pointee.layers + layer
        guard
            case .packets(let numbers, let byteCount) = unsafe source.pointee.keyFrameCache.replay(
                from: source.pointee.cache,
                at: now
            ), unsafe self.isWorthReplaying(numbers.count, byteCount: byteCount, to: leg)
        else { return false }
        var reader = unsafe source.pointee.frames.replaying()
        for number in numbers {
            guard var packet = unsafe self.layOut(number, from: source, at: now) else { continue }
            let format = unsafe track.pointee.format(packet.header.payloadType)
            guard format.role == .media else { continue }
            _ = Self.readFrame(&packet, format: format.payload, with: &reader)
            packet.readHeaderValue(unsafe track.pointee.kind)
            unsafe self.forward(packet, to: leg, track: track, layer: layer, at: now)
        }
        // The selector had the last word: it may not want this layer.
        let hasPicture = unsafe leg.pointee.selector.current != nil
        if hasPicture { self.counters.replaysSent &+= 1 }
        return hasPicture
    }

    private func isWorthReplaying(_ packetCount: Int, byteCount: Int, to leg: LegPointer) -> Bool {
        guard let bandwidth = unsafe leg.pointee.session.pointee.bandwidth else { return true }
        // The pictures of ten people come at once: what finds no place in the pacer would leave at once too.
        let waiting = unsafe bandwidth.pointee.pacer.queuedCount
        guard unsafe waiting + packetCount <= bandwidth.pointee.pacer.mostWaiting else { return false }
        let rate = unsafe bandwidth.pointee.estimator.estimate.pacingRate.bitsPerSecond
        return Double(byteCount) * 8 <= Double(rate) * Self.longestReplay.inSeconds
    }

    /// Copies a kept packet to where it can be changed.
    func layOut(
        _ number: Int64,
        from source: UnsafeMutablePointer<SourceLayer>,
        at now: Instant
    ) -> SourcePacket? {
        guard let cached = unsafe source.pointee.cache.lookup(number, within: .seconds(2), at: now) else { return nil }
        let count = cached.bytes.byteCount
        guard unsafe count <= self.packetScratch.count, cached.headerLength <= count else { return nil }
        let bytes = unsafe UnsafeMutableRawBufferPointer(rebasing: self.packetScratch[0..<count])
        unsafe cached.bytes.withUnsafeBytes { unsafe bytes.copyMemory(from: $0) }
        var packet = unsafe SourcePacket(
            bytes: bytes,
            header: cached.facts,
            payloadLength: count - cached.headerLength
        )
        packet.sequence = number
        return packet
    }
}
