package import Basics
import RTP
package import SDP

/// The client's half of offer and answer: makes offers and reads the server's answers.
///
/// For the headless load tester and for tests. It is what a browser would send, without the history: one codec set,
/// max-bundle, one transport, all header extensions that Sluice knows.
package struct ClientOffer: Sendable {
    /// One m-line, from the client's point of view.
    package struct Section: Sendable, Equatable {
        package let mid: String
        package let kind: MediaKind
        package var direction: NegotiatedSection.Direction
        package var codecs: [Codec]
        /// Simulcast layers to send; empty for a single stream.
        package var rids: [String]
        package let ssrc: SSRC
        package let rtxSSRC: SSRC
        package var isStopped: Bool
    }

    package private(set) var sections: [Section] = []
    /// The client's ICE credentials, certificate and candidates. Set new credentials to restart ICE.
    package var local: LocalTransport
    /// Offers feedback by SSRC and RTP sequence number (RFC 8888 §6) beside transport-wide feedback.
    package var offersCongestionControlFeedback = false
    /// Offers the dependency descriptor for video.
    package var offersDependencyDescriptor = true
    /// Browsers offer `actpass`; who can be the DTLS client only, or the server only, may say so. With `actpass` this client
    /// begins the handshake, and refuses answers that would have it wait.
    package var setup = SDPAttribute.Setup.actpass
    private let sessionID: UInt64
    private let cname: String
    private var version: UInt64 = 0
    private var midCount = 0

    package init(local: LocalTransport, using generator: inout some RandomNumberGenerator) {
        self.local = local
        self.sessionID = UInt64.random(in: 1..<1 << 62, using: &generator)
        self.cname = String(UInt64.random(in: .min ... .max, using: &generator), radix: 36)
    }

    /// Adds an m-line, in place of a stopped one where there is one, and returns its mid.
    package mutating func add(
        _ kind: MediaKind,
        direction: NegotiatedSection.Direction,
        codecs: [Codec] = [.opus, .vp8, .vp9, .h264, .av1],
        rids: [String] = [],
        using generator: inout some RandomNumberGenerator
    ) -> String {
        let section = Section(
            mid: String(self.midCount),
            kind: kind,
            direction: direction,
            codecs: codecs.filter { $0.kind == kind },
            rids: kind == .video && direction == .send ? rids : [],
            ssrc: SSRC(UInt32.random(in: 1 ... .max, using: &generator)),
            rtxSSRC: SSRC(UInt32.random(in: 1 ... .max, using: &generator)),
            isStopped: false
        )
        self.midCount += 1
        if let index = self.sections.firstIndex(where: { $0.isStopped }) {
            self.sections[index] = section
        } else {
            self.sections.append(section)
        }
        return section.mid
    }

    /// Does nothing for an m-line that there is not.
    package mutating func setDirection(_ direction: NegotiatedSection.Direction, of mid: String) {
        guard let index = self.sections.firstIndex(where: { $0.mid == mid }) else { return }
        self.sections[index].direction = direction
    }

    /// The next offer has the m-line with port 0; the next `add` may take its place.
    package mutating func stop(_ mid: String) {
        guard let index = self.sections.firstIndex(where: { $0.mid == mid }) else { return }
        self.sections[index].isStopped = true
    }

    /// Prints the next offer.
    package mutating func makeOffer() -> String {
        self.version += 1
        let active = self.sections.filter { !$0.isStopped }
        var attributes: [SDPAttribute] = []
        if !active.isEmpty {
            attributes.append(
                SDPAttribute(SDPAttribute.MediaGroup(semantics: "BUNDLE", mids: active.map { $0.mid }))
            )
        }
        attributes += [SDPAttribute("extmap-allow-mixed"), SDPAttribute("msid-semantic", " WMS *")]
        let description = SessionDescription(
            origin: Origin(sessionID: "\(self.sessionID)", version: "\(self.version)"),
            attributes: attributes,
            media: self.sections.map { self.media($0, isTagged: $0.mid == active.first?.mid) }
        )
        return description.description
    }

    private func media(_ section: Section, isTagged: Bool) -> MediaDescription {
        let codecs = section.codecs.flatMap { Self.formats[$0] ?? [] }
        var attributes: [SDPAttribute] = []
        if isTagged { attributes += self.local.candidates.sdpAttributes + [SDPAttribute("end-of-candidates")] }
        let fingerprint = self.local.fingerprint
        attributes += [
            SDPAttribute("ice-ufrag", self.local.usernameFragment),
            SDPAttribute("ice-pwd", self.local.password.value),
            SDPAttribute(
                SDPAttribute.CertificateFingerprint(hash: fingerprint.hash.rawValue, digest: fingerprint.digest)
            ),
            SDPAttribute(self.setup),
            SDPAttribute("mid", section.mid),
        ]
        for (offset, kind) in HeaderExtension.allCases.enumerated() where self.uses(kind, section.kind) {
            attributes.append(
                SDPAttribute(SDPAttribute.ExtensionMapping(id: UInt16(offset + 1), uri: kind.uri))
            )
        }
        attributes.append(SDPAttribute(section.direction.sdp.rawValue))
        let id = SDPAttribute.MediaStreamID(stream: "stream-\(self.cname)", track: "track-\(section.mid)")
        if section.direction == .send { attributes.append(SDPAttribute(id)) }
        attributes += [
            SDPAttribute("rtcp-mux"), SDPAttribute("rtcp-rsize"), SDPAttribute("rtcp-xr", "rcvr-rtt=all"),
        ]
        for codec in codecs { attributes += codec.sdpAttributes }
        if self.offersCongestionControlFeedback {
            attributes.append(SDPAttribute(SDPAttribute.RTCPFeedback.congestionControlFeedback))
        }
        if section.direction == .send {
            if section.rids.isEmpty {
                let sender = NegotiatedSection(
                    mid: section.mid,
                    kind: section.kind,
                    direction: .send,
                    codecs: codecs,
                    extensions: HeaderExtensionMap(),
                    localSSRC: section.ssrc,
                    localRTXSSRC: section.rtxSSRC
                )
                attributes += sender.sourceAttributes(cname: self.cname, mediaStreamID: id)
            } else {
                attributes += section.rids.map { SDPAttribute(SDPAttribute.RID(id: $0, direction: .send)) }
                let streams = section.rids.map { [SDPAttribute.Simulcast.Alternative(rid: $0)] }
                attributes.append(SDPAttribute(SDPAttribute.Simulcast(send: streams)))
            }
        }
        return MediaDescription(
            media: section.kind.name,
            port: section.isStopped ? 0 : 9,
            transport: "UDP/TLS/RTP/SAVPF",
            formats: codecs.flatMap { codec in
                ["\(codec.payloadType)"] + (codec.rtxPayloadType.map { ["\($0)"] } ?? [])
            },
            attributes: attributes
        )
    }

    private func uses(_ kind: HeaderExtension, _ media: MediaKind) -> Bool {
        switch kind {
        case .mid, .transportSequenceNumber, .absoluteSendTime: true
        case .audioLevel: media == .audio
        case .rid, .repairedRID, .videoOrientation: media == .video
        case .dependencyDescriptor: media == .video && self.offersDependencyDescriptor
        }
    }

    /// The payload types that Chromium uses most often.
    private static let formats: [Codec: [NegotiatedCodec]] = {
        let video: NegotiatedCodec.Feedback = [
            .nack, .pictureLossIndication, .fullIntraRequest, .transportWide, .receiverEstimate,
        ]
        func format(
            _ codec: Codec,
            _ payloadType: UInt8,
            rtx: UInt8? = nil,
            _ parameters: String = ""
        ) -> NegotiatedCodec {
            NegotiatedCodec(
                codec: codec,
                payloadType: payloadType,
                rtxPayloadType: rtx,
                clockRate: codec.kind == .audio ? 48_000 : 90_000,
                channels: codec.kind == .audio ? 2 : 1,
                formatParameters: parameters,
                feedback: codec.kind == .audio ? [.nack, .transportWide] : video
            )
        }
        let h264 = "level-asymmetry-allowed=1;packetization-mode="
        return [
            .opus: [format(.opus, 111, "minptime=10;useinbandfec=1")],
            .red: [format(.red, 63, "111/111")],
            .vp8: [format(.vp8, 96, rtx: 97)],
            .vp9: [format(.vp9, 98, rtx: 99, "profile-id=0")],
            .h264: [
                format(.h264, 102, rtx: 103, h264 + "1;profile-level-id=42e01f"),
                format(.h264, 104, rtx: 107, h264 + "0;profile-level-id=42e01f"),
            ],
            .h265: [format(.h265, 49, rtx: 50, "level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST")],
            .av1: [format(.av1, 45, rtx: 46, "level-idx=5;profile=0;tier=0")],
        ]
    }()
}

extension NegotiatedSection.Direction {
    fileprivate var sdp: SDPAttribute.Direction {
        switch self {
        case .receive: .receiveOnly
        case .send: .sendOnly
        case .inactive: .inactive
        }
    }
}
