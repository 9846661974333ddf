package import Basics

/// The server's side of the transport, for the answer.
package struct LocalTransport: Sendable, Equatable {
    package var usernameFragment: String
    package var password: Redacted<String>
    package var fingerprint: Fingerprint
    /// Host candidates, best first; all are in the answer, followed by `a=end-of-candidates`.
    package var candidates: [TransportAddress]

    package init(
        usernameFragment: String,
        password: Redacted<String>,
        fingerprint: Fingerprint,
        candidates: [TransportAddress]
    ) {
        self.usernameFragment = usernameFragment
        self.password = password
        self.fingerprint = fingerprint
        self.candidates = candidates
    }
}

/// Which publisher an m-line that the server sends on belongs to: it becomes `a=msid` and the CNAME, and lets a
/// browser keep the audio and video of one participant in step.
package struct SectionLabel: Sendable, Equatable {
    package var streamID: String
    package var trackID: String
    package var cname: String

    package init(streamID: String, trackID: String, cname: String) {
        self.streamID = streamID
        self.trackID = trackID
        self.cname = cname
    }
}
