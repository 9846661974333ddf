package import Basics
import CongestionControl
import Forwarding
package import MediaControl
import Negotiation

/// Who is sent what. None of this is on the packet path: it may allocate.
extension MediaRouter {
    package mutating func bind(
        _ source: PublishedTrack,
        to section: SectionReference,
        at now: Instant
    ) throws(MediaError) {
        guard let session = unsafe self.session(section.session) else { throw .noSuchSession }
        guard let leg = unsafe self.leg(section.mid, of: session) else { throw .noSuchSection }
        guard let publisher = unsafe self.session(source.session) else { throw .noSuchTrack }
        guard let track = unsafe self.track(source.mid, of: publisher) else { throw .noSuchTrack }
        let map = payloadTypeMap(from: unsafe track.pointee.section, to: unsafe leg.pointee.section)
        guard !map.isEmpty else { throw .noCommonCodec }
        unsafe self.attach(leg, to: track, payloadTypes: map, at: now)
    }

    /// - Parameter map: from the publisher's payload types to the leg's.
    mutating func attach(_ leg: LegPointer, to track: TrackPointer, payloadTypes map: [UInt8: UInt8], at now: Instant) {
        unsafe self.detach(leg)
        self.lastBinding &+= 1
        unsafe leg.pointee.attach(to: track, payloadTypes: map, binding: self.lastBinding)
        unsafe track.pointee.add(leg)
        self.countForwarded(unsafe track.pointee.kind, by: 1)
        unsafe self.start(leg, at: now)
    }

    package mutating func unbind(_ section: SectionReference, at now: Instant) {
        guard let session = unsafe self.session(section.session) else { return }
        guard let leg = unsafe self.leg(section.mid, of: session) else { return }
        unsafe self.detach(leg)
        unsafe self.needsAllocation(session, because: .preference, at: now)
    }

    package mutating func setPaused(
        _ paused: Bool,
        because reason: PauseReason,
        for section: SectionReference,
        at now: Instant
    ) {
        guard let session = unsafe self.session(section.session) else { return }
        guard let leg = unsafe self.leg(section.mid, of: session) else { return }
        unsafe self.setPaused(paused, because: reason, leg: leg, at: now)
    }

    mutating func setPaused(_ paused: Bool, because reason: PauseReason, leg: LegPointer, at now: Instant) {
        // The wish is about the track that is bound; without one there is nothing to hold back.
        guard unsafe leg.pointee.track != nil else { return }
        let wasPaused = unsafe leg.pointee.isPaused
        let bit: UInt8 = 1 << reason.rawValue
        guard unsafe (leg.pointee.pauses & bit != 0) != paused else { return }
        unsafe self.countPause(of: leg, by: -1)
        unsafe leg.pointee.pauses = paused ? leg.pointee.pauses | bit : leg.pointee.pauses & ~bit
        unsafe self.countPause(of: leg, by: 1)
        let isPaused = unsafe leg.pointee.isPaused
        guard isPaused != wasPaused else {
            unsafe leg.pointee.hasReasonNews = true
            return
        }
        unsafe self.forgetDecision(of: leg)
        unsafe leg.pointee.startAnew()
        if isPaused {
            unsafe self.needsAllocation(leg.pointee.session, because: .preference, at: now)
        } else {
            unsafe self.start(leg, at: now)
        }
        unsafe self.reportSelection(leg)
    }

    package mutating func setPreference(
        _ preference: SubscriberPreference,
        for section: SectionReference,
        at now: Instant
    ) {
        guard let session = unsafe self.session(section.session) else { return }
        guard let leg = unsafe self.leg(section.mid, of: session) else { return }
        unsafe leg.pointee.preference = preference
        unsafe self.needsAllocation(session, because: .preference, at: now)
    }

    package mutating func setPurpose(_ purpose: TrackPurpose, for source: PublishedTrack, at now: Instant) {
        guard let session = unsafe self.session(source.session) else { return }
        guard let track = unsafe self.track(source.mid, of: session) else { return }
        guard unsafe track.pointee.purpose != purpose else { return }
        unsafe track.pointee.purpose = purpose
        unsafe self.describeToMirrors(track)
        unsafe self.needsAllocation(of: track, because: .publisher, at: now)
    }

    package mutating func setSpeechRole(_ role: SpeechRole, for source: PublishedTrack, at now: Instant) {
        guard let session = unsafe self.session(source.session) else { return }
        guard let track = unsafe self.track(source.mid, of: session) else { return }
        guard unsafe track.pointee.speechRole != role else { return }
        unsafe track.pointee.speechRole = role
        unsafe self.describeToMirrors(track)
        unsafe self.needsAllocation(of: track, because: .speaker, at: now)
    }

    package mutating func setMuted(_ muted: Bool, for source: PublishedTrack, at now: Instant) {
        guard let session = unsafe self.session(source.session) else { return }
        guard let track = unsafe self.track(source.mid, of: session) else { return }
        guard unsafe track.pointee.isMuted != muted else { return }
        unsafe track.pointee.isMuted = muted
        unsafe self.describeToMirrors(track)
        unsafe self.muteChanged(of: track, at: now)
    }

    /// Everyone who is sent the track starts anew when it goes on.
    mutating func muteChanged(of track: TrackPointer, at now: Instant) {
        // What was said and shown meanwhile is nobody's business afterwards.
        for layer in unsafe 0..<track.pointee.layerCount {
            unsafe track.pointee.layers[layer].keyFrameCache = KeyFrameCache()
        }
        for leg in unsafe Each(track.pointee.legs) {
            unsafe leg.pointee.startAnew()
            if unsafe !track.pointee.isMuted { unsafe self.start(leg, at: now) }
        }
    }

    // MARK: Legs

    /// Takes a leg off its track; it keeps its SSRC and its place in the sequence for the next one.
    mutating func detach(_ leg: LegPointer) {
        guard let track = unsafe leg.pointee.track else { return }
        unsafe track.pointee.remove(leg)
        unsafe self.countPause(of: leg, by: -1)
        unsafe self.forgetDecision(of: leg)
        self.countForwarded(unsafe track.pointee.kind, by: -1)
        unsafe leg.pointee.session.pointee.bandwidth?.pointee.allocator.remove(id: leg.pointee.binding)
        unsafe leg.pointee.detach()
    }

    private mutating func countForwarded(_ kind: MediaKind, by change: Int64) {
        let amount = UInt64(bitPattern: change)
        if kind == .audio {
            self.counters.tracksForwarded.audio &+= amount
        } else {
            self.counters.tracksForwarded.video &+= amount
        }
    }

    private mutating func countPause(of leg: LegPointer, by change: Int64) {
        guard unsafe leg.pointee.isPaused else { return }
        let amount = UInt64(bitPattern: change)
        if unsafe leg.pointee.pauses & (1 << PauseReason.subscriber.rawValue) != 0 {
            self.counters.tracksPaused &+= amount
        } else if unsafe leg.pointee.pauses & (1 << PauseReason.lastN.rawValue) != 0 {
            self.counters.tracksUnused &+= amount
        } else {
            self.counters.tracksShed &+= amount
        }
    }

    /// What was decided for the leg holds no more: it is off, or about to start anew.
    private mutating func forgetDecision(of leg: LegPointer) {
        if unsafe leg.pointee.decision?.isPausedForBandwidth == true {
            self.counters.tracksPausedForBandwidth &-= 1
        }
        unsafe leg.pointee.decision = nil
        unsafe leg.pointee.reportedLayers = nil
    }

    /// A session's keys are there: everything that is bound to it starts.
    mutating func startLegs(of session: SessionPointer, at now: Instant) {
        unsafe session.pointee.mediaDeadline = now
        for leg in unsafe Each(session.pointee.legs) { unsafe self.start(leg, at: now) }
    }

    /// Decides about a leg that is new, or starts anew, and gets it a picture.
    mutating func start(_ leg: LegPointer, at now: Instant) {
        guard let track = unsafe leg.pointee.track, unsafe leg.pointee.session.pointee.isConnected else { return }
        unsafe self.wake(leg.pointee.session, by: now)
        guard unsafe track.pointee.kind == .video else { return }
        if self.loadShedding.isOn { unsafe self.shed(leg, at: now) }
        if let bandwidth = unsafe leg.pointee.session.pointee.bandwidth {
            unsafe self.giveGrace(leg.pointee.session, at: now)
            unsafe self.allocate(leg.pointee.session, bandwidth, at: now)
            unsafe self.wakeBandwidth(leg.pointee.session, by: now)
        }
        guard unsafe leg.pointee.takesPartInAllocation, unsafe leg.pointee.selector.current == nil,
            unsafe leg.pointee.selector.maximumLayer != nil
        else { return }
        unsafe self.getPicture(for: leg, layer: leg.pointee.wantedLayer, at: now)
    }

    mutating func reportSelection(_ leg: LegPointer) {
        guard unsafe leg.pointee.track != nil else { return }
        let reference = SectionReference(
            session: unsafe leg.pointee.session.pointee.id,
            mid: unsafe leg.pointee.section.mid
        )
        self.emit(.selectionChanged(reference, unsafe leg.pointee.selection))
    }
}
