package import Basics

/// What a network does to the datagrams of one direction. The default does nothing.
package struct LinkProfile: Sendable, Equatable {
    /// Share of datagrams that are lost, 0 to 1.
    package var loss = 0.0
    /// How many are lost in a row, in the mean; 1 = each by itself.
    package var burst = 1.0
    package var delay = Nanoseconds.zero
    /// Up to so much is added to the delay. Datagrams keep their order.
    package var jitter = Nanoseconds.zero
    /// Of everything on the wire, with 28 bytes of IP and UDP for each datagram; `nil` = unlimited.
    package var bandwidth: Bitrate?
    /// The longest that a datagram waits for bandwidth; what would wait longer is dropped.
    package var queue = Nanoseconds.milliseconds(300)

    package init() {}

    package var doesNothing: Bool {
        self.loss <= 0 && self.delay <= .zero && self.jitter <= .zero && self.bandwidth == nil
    }
}

/// Both directions of a peer's way to the server.
package struct LinkPair: Sendable, Equatable {
    /// To the server.
    package var up = LinkProfile()
    /// From the server.
    package var down = LinkProfile()

    package init() {}
    package init(up: LinkProfile, down: LinkProfile) {
        self.up = up
        self.down = down
    }

    package var doesNothing: Bool { self.up.doesNothing && self.down.doesNothing }
}
