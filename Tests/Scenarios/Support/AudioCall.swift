import Basics
import MediaControl
import MediaPlane
import Negotiation
import PeerSession
import TestSupport
import Testing

/// One participant talks to another, who is connected: the victim, or the innocent bystander, of most scenarios.
final class AudioCall {
    let call: SimulatedCall
    let publisher: SimulatedClient
    let uplink: String
    let subscriber: SimulatedClient
    let downlink: String
    var talker: Talker

    /// In a call of its own, or in one that there is.
    init(seed: UInt64 = 1, in existing: SimulatedCall? = nil, sockets: [TransportAddress]? = nil) throws {
        let call = existing ?? SimulatedCall(seed: seed, sockets: sockets ?? [SimulatedCall.serverAddress])
        self.call = call
        self.publisher = call.addClient()
        self.uplink = self.publisher.add(.audio, direction: .send)
        self.subscriber = call.addClient()
        self.downlink = self.subscriber.add(.audio, direction: .receive)
        try call.negotiate(self.publisher)
        try call.negotiate(self.subscriber)
        try call.bind(self.publisher, self.uplink, to: self.subscriber, self.downlink)
        self.talker = Talker(client: self.publisher, mid: self.uplink)
    }

    /// Waits for both to be connected.
    func connect() throws {
        let isUp = self.call.run(upTo: .seconds(5)) { self.publisher.isConnected && self.subscriber.isConnected }
        try #require(isUp, "seed \(self.call.seed)")
        self.call.run(for: .milliseconds(50))
    }

    func talk(for duration: Nanoseconds, tick: Nanoseconds = .milliseconds(10), each: (Instant) -> Void = { _ in }) {
        self.call.run(for: duration, tick: tick) { now in
            self.talker.talk(in: self.call, at: now)
            each(now)
        }
    }

    /// Talks for a second; whether the subscriber heard (nearly) all of it, at its end.
    func isHeard() -> Bool {
        let before = self.subscriber.packets.count
        self.talk(for: .seconds(1))
        return self.subscriber.packets.count - before >= 48 && self.isAlive
    }

    /// Nobody's session ended.
    var isAlive: Bool {
        self.call.end(of: self.publisher) == nil && self.call.end(of: self.subscriber) == nil
            && self.publisher.end == nil && self.subscriber.end == nil
    }

    /// Datagrams of the publisher as they leave, from its first byte: STUN below 4, DTLS 20 to 63, SRTP and SRTCP above.
    func record(for duration: Nanoseconds) -> [[UInt8]] {
        var datagrams: [[UInt8]] = []
        self.call.watchesClients = { bytes, client in if client === self.publisher { datagrams.append(bytes) } }
        self.talk(for: duration)
        self.call.watchesClients = { _, _ in }
        return datagrams
    }
}

extension [UInt8] {
    var isRTP: Bool { self.count > 12 && self[0] >= 128 && !(192..<224).contains(self[1]) }
    var isDTLS: Bool { self.first.map { (20..<64).contains($0) } ?? false }
    var isSTUN: Bool { self.first.map { $0 < 4 } ?? false }
}
