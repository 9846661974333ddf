package import Basics
import DTLS
import Forwarding
import ICE
package import MediaControl
import Negotiation
import PeerSession
import RTP

/// What rooms ask of a worker. None of this is on the packet path: it may allocate.
extension MediaRouter {
    package mutating func apply(
        _ configuration: SessionConfiguration,
        to id: SessionID,
        at now: Instant
    ) throws(MediaError) {
        let session: SessionPointer
        if let existing = unsafe self.session(id) {
            unsafe session = existing
            try unsafe self.applyTransport(configuration, to: session, at: now)
        } else {
            unsafe session = try self.makeSession(id, configuration, at: now)
        }
        unsafe session.pointee.configuration = configuration
        unsafe self.applySections(configuration.negotiated.sections, to: session, at: now)
        self.drainPeer(unsafe session.pointee.index, socket: nil, at: now)
    }

    package mutating func close(_ id: SessionID, at now: Instant) {
        guard let index = self.indexByID[id], let session = unsafe self.sessions[index] else { return }
        for leg in unsafe Each(session.pointee.legs) { unsafe self.sendGoodbye(leg) }
        unsafe session.pointee.peer.close(at: now)
        self.drainPeer(index, socket: nil, at: now)
        self.endedIndices.removeAll { $0 == index }
        self.destroySession(index)
    }

    // MARK: Sessions

    private mutating func makeSession(
        _ id: SessionID,
        _ configuration: SessionConfiguration,
        at now: Instant
    ) throws(MediaError) -> SessionPointer {
        guard self.indexByID.count < self.configuration.maximumSessionCount else { throw .tooManySessions }
        let index: Int
        if let free = self.freeIndices.popLast() {
            index = free
        } else {
            index = unsafe self.sessions.count
            unsafe self.sessions.append(nil)
            unsafe self.timers.reserve(self.sessions.count)
        }
        let peer = PeerSession(
            server: configuration.localCredentials,
            remote: configuration.remoteCredentials,
            certificate: self.configuration.certificate,
            fingerprints: configuration.dtlsFingerprints,
            role: configuration.negotiated.transport.isPassive ? .client : .server,
            srtpLibrary: self.configuration.srtpLibrary,
            offloadsHandshakes: self.configuration.offloadsHandshakes,
            at: now
        )
        let session = SessionPointer.allocate(capacity: 1)
        unsafe session.initialize(
            to: Session(
                id: id,
                index: index,
                peer: peer,
                configuration: configuration,
                rtcpSSRC: SSRC(UInt32.random(in: 1 ... .max, using: &self.random)),
                packetsPerSecond: self.configuration.packetsPerSecondPerTransport,
                at: now
            )
        )
        unsafe self.sessions[index] = session
        self.indexByID[id] = index
        unsafe self.registerFragments(of: session)
        return unsafe session
    }

    private mutating func applyTransport(
        _ configuration: SessionConfiguration,
        to session: SessionPointer,
        at now: Instant
    ) throws(MediaError) {
        let old = unsafe session.pointee.configuration
        // A new certificate means a new DTLS association, which is a new session with new keys.
        guard Set(old.negotiated.transport.fingerprints) == Set(configuration.negotiated.transport.fingerprints) else {
            throw .transportChanged
        }
        guard
            old.localCredentials != configuration.localCredentials
                || old.remoteCredentials != configuration.remoteCredentials
        else { return }
        unsafe session.pointee.peer.restart(
            local: configuration.localCredentials,
            remote: configuration.remoteCredentials
        )
        unsafe self.registerFragments(of: session)
    }

    mutating func registerFragments(of session: SessionPointer) {
        let index = unsafe session.pointee.index
        let keys = unsafe session.pointee.peer.usernameFragmentKeys
        for key in unsafe session.pointee.fragmentKeys where !keys.contains(key) && self.indexByFragment[key] == index {
            self.indexByFragment[key] = nil
        }
        for key in keys { self.indexByFragment[key] = index }
        unsafe session.pointee.fragmentKeys = keys
    }

    // MARK: Sections

    private mutating func applySections(
        _ sections: [NegotiatedSection],
        to session: SessionPointer,
        at now: Instant
    ) {
        let mids = Set(sections.map(\.mid))
        for track in unsafe Each(session.pointee.tracks) where unsafe !mids.contains(track.pointee.source.mid) {
            unsafe session.pointee.tracks.removeAll { unsafe $0 == track }
            unsafe self.destroy(track)
        }
        for leg in unsafe Each(session.pointee.legs) where unsafe !mids.contains(leg.pointee.section.mid) {
            unsafe session.pointee.remove(leg)
            unsafe self.destroy(leg)
        }
        unsafe self.applyFeedback(of: sections, to: session, at: now)
        for section in sections {
            unsafe self.applyTrack(section, to: session, at: now)
            unsafe self.applyLeg(section, to: session, at: now)
        }
        var extensions = HeaderExtensionMap()
        var usesTransportFeedback = false
        for section in sections where section.direction == .receive {
            for kind in HeaderExtension.allCases where section.extensions[kind] != 0 {
                extensions[kind] = section.extensions[kind]
            }
            unsafe session.pointee.isReducedSize = section.reducedSizeRTCP
            if section.codecs.contains(where: { $0.feedback.contains(.transportWide) }) { usesTransportFeedback = true }
        }
        unsafe session.pointee.extensions = extensions
        unsafe session.pointee.usesTransportFeedback =
            usesTransportFeedback && extensions[.transportSequenceNumber] != 0
    }

    /// An m-line that the client sends on is a track; when it turns round, the track ends.
    private mutating func applyTrack(_ section: NegotiatedSection, to session: SessionPointer, at now: Instant) {
        guard let track = unsafe self.track(section.mid, of: session) else {
            if section.direction == .receive { unsafe self.addTrack(section, to: session, at: now) }
            return
        }
        if section.direction == .send {
            unsafe session.pointee.tracks.removeAll { unsafe $0 == track }
            unsafe self.destroy(track)
            return
        }
        // Layers that change places are other layers to everyone who is sent one.
        let isReordered = unsafe track.pointee.apply(section)
        unsafe self.describeToMirrors(track)
        if isReordered { unsafe self.layersChangedPlaces(of: track, at: now) }
    }

    /// Layers have other ranks now.
    mutating func layersChangedPlaces(of track: TrackPointer, at now: Instant) {
        for leg in unsafe Each(track.pointee.legs) {
            unsafe leg.pointee.startAnew()
            unsafe self.needsAllocation(leg.pointee.session, because: .publisher, at: now)
        }
    }

    /// An m-line that the server sends on has a leg. It outlives a turn of the m-line: its numbers must go on.
    private mutating func applyLeg(_ section: NegotiatedSection, to session: SessionPointer, at now: Instant) {
        if let leg = unsafe self.leg(section.mid, of: session) {
            unsafe leg.pointee.apply(section)
            unsafe self.needsAllocation(session, because: .preference, at: now)
            if section.direction == .send { unsafe self.start(leg, at: now) }
        } else if section.direction == .send {
            unsafe self.addLeg(section, to: session, at: now)
        }
    }

    private mutating func addTrack(_ section: NegotiatedSection, to session: SessionPointer, at now: Instant) {
        let track = TrackPointer.allocate(capacity: 1)
        let source = PublishedTrack(session: unsafe session.pointee.id, mid: section.mid)
        unsafe track.initialize(to: Track(owner: session, source: source, section: section, at: now))
        unsafe session.pointee.tracks.append(track)
        if section.kind == .audio {
            unsafe self.audioTracks.append(track)
            self.counters.tracksPublished.audio &+= 1
        } else {
            self.counters.tracksPublished.video &+= 1
        }
    }

    private mutating func addLeg(_ section: NegotiatedSection, to session: SessionPointer, at now: Instant) {
        let leg = LegPointer.allocate(capacity: 1)
        unsafe leg.initialize(to: Leg(session: session, section: section, at: now, using: &self.random))
        unsafe session.pointee.add(leg)
        if section.kind == .video { unsafe self.makeBandwidth(of: session, for: section, at: now) }
    }

    func track(_ mid: String, of session: SessionPointer) -> TrackPointer? {
        unsafe session.pointee.tracks.first { unsafe $0.pointee.source.mid == mid }
    }

    func leg(_ mid: String, of session: SessionPointer) -> LegPointer? {
        unsafe session.pointee.legs.first { unsafe $0.pointee.section.mid == mid }
    }
}

extension SessionConfiguration {
    var localCredentials: ICECredentials {
        ICECredentials(usernameFragment: self.localUsernameFragment, password: self.localPassword)
    }

    var remoteCredentials: ICECredentials {
        let remote = self.negotiated.transport
        return ICECredentials(usernameFragment: remote.usernameFragment, password: remote.password)
    }

    var dtlsFingerprints: [DTLSFingerprint] {
        self.negotiated.transport.fingerprints.map { fingerprint in
            switch fingerprint.hash {
            case .sha256: DTLSFingerprint(hash: .sha256, digest: fingerprint.digest)
            case .sha384: DTLSFingerprint(hash: .sha384, digest: fingerprint.digest)
            case .sha512: DTLSFingerprint(hash: .sha512, digest: fingerprint.digest)
            }
        }
    }
}
