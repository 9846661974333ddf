package import Basics
package import RTP

/// What one offer and its answer agreed on: everything that the media plane needs to know of an SDP.
package struct NegotiatedSession: Sendable, Equatable {
    package var transport: RemoteTransport
    /// In the order of the m-lines; rejected and stopped ones are left out.
    package var sections: [NegotiatedSection]

    package init(transport: RemoteTransport, sections: [NegotiatedSection]) {
        self.transport = transport
        self.sections = sections
    }
}

/// The client's side of the one bundled transport.
package struct RemoteTransport: Sendable, Equatable {
    package var usernameFragment: String
    package var password: Redacted<String>
    /// Any of these may match the peer's certificate (RFC 8122 §5).
    package var fingerprints: [Fingerprint]
    /// Waits for the other side's ClientHello instead of beginning the DTLS handshake (RFC 8842 §5.3). For the life of the
    /// association, so for that of the session.
    package var isPassive: Bool

    package init(
        usernameFragment: String,
        password: Redacted<String>,
        fingerprints: [Fingerprint],
        isPassive: Bool = false
    ) {
        self.usernameFragment = usernameFragment
        self.password = password
        self.fingerprints = fingerprints
        self.isPassive = isPassive
    }
}

/// A certificate's digest as SDP carries it (RFC 8122 §5).
package struct Fingerprint: Hashable, Sendable {
    package enum HashFunction: String, Sendable, CaseIterable {
        case sha256 = "sha-256"
        case sha384 = "sha-384"
        case sha512 = "sha-512"
    }

    package var hash: HashFunction
    package var digest: [UInt8]

    package init(hash: HashFunction, digest: [UInt8]) {
        self.hash = hash
        self.digest = digest
    }
}

/// One m-line that carries media.
package struct NegotiatedSection: Sendable, Equatable {
    /// From the server's point of view.
    package enum Direction: Sendable, Equatable {
        /// The client publishes here.
        case receive
        /// The client takes a forwarded track here.
        case send
        /// On hold: neither, but the m-line keeps its mid, its codecs and its binding.
        case inactive
    }

    package var mid: String
    package var kind: MediaKind
    package var direction: Direction
    /// In order of preference; retransmission formats stand inside the codec that they repair.
    package var codecs: [NegotiatedCodec]
    /// The ids that the client gave the extensions of this m-line.
    package var extensions: HeaderExtensionMap
    package var reducedSizeRTCP: Bool
    /// A receiver without media of its own is told the round trip time (RFC 3611 §5.1, `rcvr-rtt`).
    package var echoesReferenceTimes = false
    /// Feedback names packets by SSRC and RTP sequence number (RFC 8888), with their ECN marks, in place of transport-wide
    /// numbers. The same for all m-lines of a session.
    package var usesCongestionControlFeedback = false
    /// `receive`: simulcast layers in the order of the offer; empty without simulcast.
    package var rids: [String]
    /// `receive`: what the client announced by `a=ssrc`; empty where it relies on MID and RID.
    package var remoteSSRCs: [RemoteSSRC]
    /// `receive`: the CNAME of the client's `a=ssrc` lines.
    package var cname: String?
    /// `send`: the SSRCs that the answer announced; they stay with the m-line for the life of the session.
    package var localSSRC: SSRC
    package var localRTXSSRC: SSRC

    package init(
        mid: String,
        kind: MediaKind,
        direction: Direction,
        codecs: [NegotiatedCodec],
        extensions: HeaderExtensionMap,
        reducedSizeRTCP: Bool = true,
        rids: [String] = [],
        remoteSSRCs: [RemoteSSRC] = [],
        cname: String? = nil,
        localSSRC: SSRC = SSRC(0),
        localRTXSSRC: SSRC = SSRC(0)
    ) {
        self.mid = mid
        self.kind = kind
        self.direction = direction
        self.codecs = codecs
        self.extensions = extensions
        self.reducedSizeRTCP = reducedSizeRTCP
        self.rids = rids
        self.remoteSSRCs = remoteSSRCs
        self.cname = cname
        self.localSSRC = localSSRC
        self.localRTXSSRC = localRTXSSRC
    }
}

/// A media SSRC of a publisher, with the one that retransmits for it (`a=ssrc-group:FID`, RFC 5576 §4.2).
package struct RemoteSSRC: Hashable, Sendable {
    package var media: SSRC
    package var retransmission: SSRC?

    package init(media: SSRC, retransmission: SSRC? = nil) {
        self.media = media
        self.retransmission = retransmission
    }
}

/// The codecs that Sluice forwards.
package enum Codec: String, Sendable, CaseIterable, Hashable {
    case opus, red, vp8, vp9, h264, h265, av1

    package var kind: MediaKind {
        switch self {
        case .opus, .red: .audio
        case .vp8, .vp9, .h264, .h265, .av1: .video
        }
    }
}

/// One payload type of an m-line, as answered.
package struct NegotiatedCodec: Sendable, Equatable {
    package struct Feedback: OptionSet, Sendable, Hashable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let nack = Self(rawValue: 1)
        package static let pictureLossIndication = Self(rawValue: 2)
        package static let fullIntraRequest = Self(rawValue: 4)
        package static let transportWide = Self(rawValue: 8)
        package static let receiverEstimate = Self(rawValue: 16)
    }

    package var codec: Codec
    package var payloadType: UInt8
    /// Of the retransmission format (RFC 4588) that repairs this one.
    package var rtxPayloadType: UInt8?
    package var clockRate: UInt32
    package var channels: UInt8
    /// The `a=fmtp` parameters as answered, `key=value;...`; empty when there are none.
    package var formatParameters: String
    package var feedback: Feedback

    package init(
        codec: Codec,
        payloadType: UInt8,
        rtxPayloadType: UInt8?,
        clockRate: UInt32,
        channels: UInt8,
        formatParameters: String,
        feedback: Feedback
    ) {
        self.codec = codec
        self.payloadType = payloadType
        self.rtxPayloadType = rtxPayloadType
        self.clockRate = clockRate
        self.channels = channels
        self.formatParameters = formatParameters
        self.feedback = feedback
    }
}
