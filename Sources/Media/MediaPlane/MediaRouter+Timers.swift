import Basics
import CongestionControl
import Forwarding
import MediaControl
import Negotiation

/// What waits for its time: reports, feedback, requests, the watch over layers.
extension MediaRouter {
    private static let selectionInterval = Nanoseconds.milliseconds(100)

    /// Does what is due for one connected session, and finds its next deadline.
    mutating func runMediaTimers(_ session: SessionPointer, at now: Instant) {
        guard unsafe now >= session.pointee.mediaDeadline else { return }
        if unsafe session.pointee.usesTransportFeedback { unsafe self.sendTransportFeedback(to: session, at: now) }
        if unsafe session.pointee.usesCongestionControlFeedback {
            unsafe self.sendCongestionControlFeedback(to: session, at: now)
        }
        for track in unsafe Each(session.pointee.tracks) {
            for layer in unsafe 0..<track.pointee.layerCount {
                unsafe self.sendNACK(for: track, layer: layer, at: now)
                if unsafe track.pointee.layers[layer].keyFrames.takePending(at: now) {
                    unsafe self.sendKeyFrameRequest(to: track, layer: layer)
                }
            }
        }
        if unsafe now >= session.pointee.nextSelection {
            unsafe session.pointee.nextSelection = TimerGrid.last(before: now + Self.selectionInterval)
            for track in unsafe Each(session.pointee.tracks) { unsafe self.watch(track, at: now) }
        }
        if unsafe session.pointee.reports.takeDue(at: now, using: &self.random) {
            unsafe self.sendReceiverReport(to: session, at: now)
            for leg in unsafe Each(session.pointee.legs) { unsafe self.sendSenderReport(leg, at: now) }
        }
        unsafe session.pointee.mediaDeadline = unsafe self.nextMediaDeadline(session)
    }

    private func nextMediaDeadline(_ session: SessionPointer) -> Instant {
        var deadline = unsafe TimerGrid.first(after: session.pointee.reports.nextDeadline)
        if unsafe session.pointee.usesTransportFeedback {
            deadline = unsafe min(deadline, session.pointee.feedback.nextDeadline)
        }
        if unsafe session.pointee.usesCongestionControlFeedback {
            deadline = unsafe min(deadline, session.pointee.congestionFeedback.nextDeadline)
        }
        guard unsafe !session.pointee.tracks.isEmpty else { return deadline }
        deadline = unsafe min(deadline, session.pointee.nextSelection)
        for track in unsafe Each(session.pointee.tracks) {
            for layer in unsafe 0..<track.pointee.layerCount {
                let source = unsafe track.pointee.layers + layer
                if unsafe track.pointee.usesNACK {
                    deadline = unsafe min(deadline, source.pointee.nacks.nextDeadline)
                }
                if let pending = unsafe source.pointee.keyFrames.nextDeadline { deadline = min(deadline, pending) }
            }
        }
        return deadline
    }

    /// Sees which layers live, lets subscribers change layer, and tells the rooms what changed.
    mutating func watch(_ track: TrackPointer, at now: Instant) {
        for layer in unsafe 0..<track.pointee.layerCount {
            let source = unsafe track.pointee.layers + layer
            if unsafe source.pointee.reportedMode != source.pointee.scalability.mode {
                unsafe source.pointee.reportedMode = source.pointee.scalability.mode
                unsafe track.pointee.hasNews = true
            }
            guard unsafe source.pointee.isActive, let last = unsafe source.pointee.lastPacket else { continue }
            if now - last > SourceLayer.silence {
                unsafe source.pointee.isActive = false
                unsafe track.pointee.hasNews = true
                unsafe self.needsAllocation(of: track, because: .publisher, at: now)
            }
        }
        if unsafe track.pointee.kind == .video {
            for leg in unsafe Each(track.pointee.legs) {
                guard unsafe leg.pointee.session.pointee.isConnected, unsafe !leg.pointee.isPaused else { continue }
                if let rank = unsafe leg.pointee.selector.tick(at: now) {
                    unsafe self.getPicture(for: leg, layer: track.pointee.layer(rank: rank), at: now)
                }
                if unsafe leg.pointee.selector.stallCount != leg.pointee.reportedStalls {
                    unsafe leg.pointee.reportedStalls = leg.pointee.selector.stallCount
                    unsafe leg.pointee.hasReasonNews = true
                }
                unsafe self.reportSwitch(leg)
            }
        }
        for leg in unsafe Each(track.pointee.legs) where unsafe leg.pointee.takeSelectionNews(at: now) {
            unsafe self.reportSelection(leg)
        }
        unsafe self.watchDemand(for: track, at: now)
        // Of a mirror, the room hears from the worker that has the track.
        guard unsafe track.pointee.owner != nil else { return }
        if unsafe track.pointee.hasNews, unsafe now >= track.pointee.nextNews, let codec = unsafe track.pointee.codec {
            unsafe track.pointee.hasNews = false
            unsafe track.pointee.nextNews = now + Track.newsInterval
            let states = unsafe (0..<track.pointee.layerCount).map { unsafe track.pointee.layers[$0].state }
            self.emit(.layersChanged(unsafe track.pointee.source, codec: codec, states))
        }
    }
}
