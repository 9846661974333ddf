import Basics
import MediaControl
import Negotiation
import SDP

/// One peer connection from the control plane's side: its SDP state, the server's ICE credentials, and which track is
/// sent on which m-line. WebSocket, WHIP and WHEP sessions are all this.
///
/// A value: a room works on a copy and puts it back when the media plane has agreed, so that a refused offer leaves
/// everything as it was (RFC 9429 §4.1.10.2).
struct PeerNegotiation {
    let session: SessionID
    private var negotiator: Negotiator
    private(set) var local: LocalTransport
    /// Of the endpoint that answers name.
    private let worker: Int?
    /// `nil` before the first offer.
    private(set) var negotiated: NegotiatedSession?
    /// By mid of the m-line that the server sends on.
    var bindings: [String: TrackID] = [:]
    private(set) var lastOffer = ""
    private(set) var lastAnswer = ""

    init(codecs: [Codec], endpoint: MediaEndpoint) {
        self.session = RandomIdentifiers.nextSession()
        var generator = SystemRandomNumberGenerator()
        self.negotiator = Negotiator(codecs: codecs, using: &generator)
        self.local = LocalTransport(
            usernameFragment: RandomIdentifiers.usernameFragment(),
            password: RandomIdentifiers.icePassword(),
            fingerprint: endpoint.fingerprint,
            candidates: endpoint.candidates
        )
        self.worker = endpoint.worker
    }

    /// Takes an offer. Bindings of m-lines that the offer ended are dropped.
    ///
    /// - Parameters:
    ///   - canPublish, canSubscribe: whether m-lines in that direction are answered with more than `inactive`.
    mutating func receive(offer: String, canPublish: Bool, canSubscribe: Bool) throws(RoomError) {
        var generator = SystemRandomNumberGenerator()
        let previous = self.negotiated
        do throws(NegotiationError) {
            let negotiated = try self.negotiator.receive(
                offer: offer,
                canPublish: canPublish,
                canSubscribe: canSubscribe,
                using: &generator
            )
            self.negotiated = negotiated
            if previous != nil, self.negotiator.isICERestart { self.renewCredentials() }
            let kept = Set(negotiated.sections.filter { $0.direction != .receive }.map(\.mid))
            self.bindings = self.bindings.filter { kept.contains($0.key) }
        } catch { throw RoomError(error) }
        self.lastOffer = offer
    }

    /// Takes a WHIP PATCH (RFC 9725 §4.3). Returns the reply to an ICE restart; `nil` for candidates, which a lite
    /// agent has no use for.
    mutating func receive(fragment text: String) throws(RoomError) -> String? {
        let fragment: TrickleFragment
        do throws(SDPParseError) { fragment = try TrickleFragment(parsing: text) } catch {
            throw RoomError(.sdpInvalid, error.description)
        }
        do throws(NegotiationError) { self.negotiated = try self.negotiator.receive(fragment: fragment) } catch {
            throw RoomError(error)
        }
        guard self.negotiator.isICERestart else { return nil }
        self.renewCredentials()
        return self.negotiator.restartFragment(local: self.local).description
    }

    private mutating func renewCredentials() {
        self.local.usernameFragment = RandomIdentifiers.usernameFragment()
        self.local.password = RandomIdentifiers.icePassword()
    }

    mutating func answer(labels: [String: SectionLabel]) -> String {
        let answer = self.negotiator.answer(local: self.local, labels: labels)
        self.lastAnswer = answer
        return answer
    }

    func configuration(maxBitrate: Bitrate?) -> SessionConfiguration? {
        guard let negotiated = self.negotiated else { return nil }
        return SessionConfiguration(
            localUsernameFragment: self.local.usernameFragment,
            localPassword: self.local.password,
            negotiated: negotiated,
            maxBitrate: maxBitrate,
            worker: self.worker
        )
    }

    /// The m-lines on which the client publishes.
    var published: [NegotiatedSection] { self.negotiated?.sections.filter { $0.direction == .receive } ?? [] }

    /// The m-lines that wait for a track, in their order.
    var free: [NegotiatedSection] {
        self.negotiated?.sections.filter { $0.direction == .send && self.bindings[$0.mid] == nil } ?? []
    }

    func section(_ mid: String) -> NegotiatedSection? { self.negotiated?.sections.first { $0.mid == mid } }

    func mid(of track: TrackID) -> String? { self.bindings.first { $0.value == track }?.key }

    /// Whether this is a different peer connection than the one that `other` is about: a page that starts again comes
    /// with a new certificate.
    func isOtherPeer(than other: Self) -> Bool {
        guard let new = self.negotiated, let old = other.negotiated else { return false }
        return Set(new.transport.fingerprints).isDisjoint(with: old.transport.fingerprints)
    }
}

extension RoomError {
    init(_ error: NegotiationError) {
        switch error {
        case .invalid(let reason): self.init(.sdpInvalid, reason)
        case .unsupported(let reason): self.init(.sdpUnsupported, reason)
        }
    }
}
