/// Writes offers as browsers do, as short as the rules allow.
package struct Offer {
    package enum Direction: String { case publish = "sendonly", take = "recvonly", inactive }

    package var sections: [(mid: String, kind: String, direction: Direction)] = []
    package var usernameFragment = "abcd"
    package var password = "0123456789abcdef01234567"
    /// One byte, repeated.
    package var fingerprint = "AB"
    package var videoCodec = "VP8"

    package init() {}

    package func publishing(_ kinds: String...) -> Self { self.adding(kinds, .publish) }
    package func taking(_ kinds: String...) -> Self { self.adding(kinds, .take) }

    private func adding(_ kinds: [String], _ direction: Direction) -> Self {
        var offer = self
        for kind in kinds { offer.sections.append((String(offer.sections.count), kind, direction)) }
        return offer
    }

    package func with(_ change: (inout Self) -> Void) -> Self {
        var offer = self
        change(&offer)
        return offer
    }

    package var sdp: String {
        let fingerprint = Array(repeating: self.fingerprint, count: 32).joined(separator: ":")
        var lines = [
            "v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0",
            "a=group:BUNDLE \(self.sections.map(\.mid).joined(separator: " "))",
        ]
        for section in self.sections {
            let isAudio = section.kind == "audio"
            lines += [
                "m=\(section.kind) 9 UDP/TLS/RTP/SAVPF \(isAudio ? 111 : 96)", "c=IN IP4 0.0.0.0",
                "a=ice-ufrag:\(self.usernameFragment)", "a=ice-pwd:\(self.password)",
                "a=fingerprint:sha-256 \(fingerprint)", "a=setup:actpass", "a=mid:\(section.mid)",
                "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
                "a=\(section.direction.rawValue)", "a=rtcp-mux",
                isAudio ? "a=rtpmap:111 opus/48000/2" : "a=rtpmap:96 \(self.videoCodec)/90000",
            ]
        }
        return lines.map { $0 + "\r\n" }.joined()
    }
}
