import Basics
import PeerSession

/// Datagrams in and out, by way of the link where there is one.
extension HeadlessPeer {
    func receive(
        _ datagram: UnsafeMutableRawBufferPointer,
        from source: TransportAddress,
        arrival: Arrival,
        at now: Instant,
        into egress: inout LoopEgress
    ) {
        guard let received = unsafe self.session?.receive(datagram, from: source, to: self.address, at: now) else {
            return
        }
        switch received {
        case .rtp(let length, _):
            unsafe self.receiveRTP(UnsafeRawBufferPointer(rebasing: datagram[0..<length]), arrival: arrival)
        case .rtcp(let length):
            unsafe self.receiveRTCP(UnsafeRawBufferPointer(rebasing: datagram[0..<length]), at: now, into: &egress)
        case .dropped(.replayed): self.report.packetsDuplicated += 1
        case .dropped(.authentication): self.report.packetsUnreadable += 1
        default: break
        }
        self.drain(at: now, into: &egress)
    }

    /// Does what is due. Returns when to call again.
    func advance(at now: Instant, into egress: inout LoopEgress) -> Instant {
        self.deliverHeld(at: now, into: &egress)
        if let deadline = self.transportDeadline, now >= deadline { self.session?.handleTimeout(at: now) }
        self.drain(at: now, into: &egress)
        if self.isConnected {
            self.publish(at: now, into: &egress)
            self.sendFeedback(at: now, into: &egress)
        }
        // Without a session there is nothing to do but to wait for the answer.
        let transport = self.session == nil ? now + .seconds(1) : self.transportDeadline ?? now + .milliseconds(100)
        return min(transport, self.nextMediaDeadline, self.link?.nextArrival ?? .distantFuture)
    }

    /// Takes off the link what has come to its end.
    private func deliverHeld(at now: Instant, into egress: inout LoopEgress) {
        guard let link = self.link else { return }
        var isSending = false
        while let entry = link.takeForServer(at: now) {
            unsafe egress.send(UnsafeRawBufferPointer(link.bytes(of: entry)), from: self.descriptor, to: entry.address)
            self.latency.lateness.record(nanoseconds: (egress.now - entry.arrival).count)
            link.release(entry)
            isSending = true
        }
        // The packets carry the time at which the link let them go.
        if isSending { egress.flush() }
        while let entry = link.takeFromServer(at: now) {
            unsafe self.receive(
                link.bytes(of: entry),
                from: entry.address,
                arrival: Arrival(peer: entry.arrival, machine: entry.entry),
                at: now,
                into: &egress
            )
            link.release(entry)
        }
    }

    /// Sends what lies in `slot`, by way of the link where there is one.
    func transmit(
        _ length: Int,
        in slot: UnsafeMutableRawBufferPointer,
        to address: TransportAddress,
        at now: Instant,
        into egress: inout LoopEgress
    ) {
        guard let link = self.link else { return egress.commit(length, from: self.descriptor, to: address) }
        guard length <= slot.count, let departure = link.admitToServer(byteCount: length, at: now) else { return }
        let datagram = unsafe UnsafeRawBufferPointer(rebasing: slot[0..<length])
        unsafe link.holdToServer(datagram, to: address, until: departure, at: now)
    }

    func drain(at now: Instant, into egress: inout LoopEgress) {
        while let output = self.session?.nextOutput() {
            switch output {
            case .transmit(let bytes, let to, _):
                let slot = unsafe egress.nextSlot()
                guard bytes.count <= slot.count else { continue }
                unsafe slot.copyBytes(from: bytes)
                unsafe self.transmit(bytes.count, in: slot, to: to, at: now, into: &egress)
            case .connected:
                self.isConnected = true
                self.report.connectedAfter = now - self.startedAt
                self.nextReport = now + .milliseconds(500)
            case .selected(let remote): self.destination = remote
            case .ended(let reason):
                self.isConnected = false
                self.report.end = "\(reason)"
            case .validated, .invalidated, .handshake: break
            case .wait(let deadline):
                self.transportDeadline = deadline
                return
            }
        }
    }
}
