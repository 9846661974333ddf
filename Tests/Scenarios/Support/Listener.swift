import Basics
import Forwarding
import Negotiation
import RTP

/// What a browser's receiver does for reports: counts what comes on one m-line and sends receiver reports.
final class Listener {
    let client: SimulatedClient
    let mid: String
    private(set) var reception: ReceptionStatistics
    /// Sender reports about this m-line's SSRC, with their arrivals.
    private(set) var reports: [(report: SenderReport, at: Instant)] = []
    private var unwrapper = SequenceUnwrapper()
    private var readPackets = 0
    private var readRTCP = 0
    private var nextReport: Instant?
    private(set) var sentReports = 0

    init(client: SimulatedClient, mid: String, clockRate: UInt32) {
        self.client = client
        self.mid = mid
        self.reception = ReceptionStatistics(clockRate: clockRate)
    }

    /// Reads what came since the last time; a receiver report leaves every second.
    func listen(in call: SimulatedCall, at now: Instant) {
        while self.readPackets < self.client.packets.count {
            let packet = self.client.packets[self.readPackets]
            self.readPackets += 1
            guard packet.mid == self.mid else { continue }
            self.reception.received(
                sequence: self.unwrapper.unwrap(packet.header.sequenceNumber),
                timestamp: packet.header.timestamp,
                arrival: packet.at,
                byteCount: packet.payload.count
            )
        }
        guard let ssrc = self.client.section(self.mid)?.remoteSSRCs.first?.media else { return }
        while self.readRTCP < self.client.rtcp.count {
            let bytes = self.client.rtcp[self.readRTCP]
            let arrival = self.client.rtcpArrivals[self.readRTCP]
            self.readRTCP += 1
            _ = forEachRTCPPacket(in: bytes.span.bytes) { view in
                guard let report = view.senderReport, report.ssrc == ssrc else { return }
                self.reports.append((report, arrival))
                self.reception.senderReport(ntp: report.ntpTime, rtp: report.rtpTimestamp, at: arrival)
            }
        }
        guard now >= self.nextReport ?? now, self.reception.packetCount > 0 else { return }
        self.nextReport = now + .seconds(1)
        let blocks = [self.reception.makeReportBlock(of: ssrc, at: now)]
        self.sentReports += 1
        call.send(
            self.client.sealRTCP { _ = $0.appendReceiverReport(from: SSRC(1), blocks: blocks.span) },
            from: self.client
        )
    }

    /// The sender's wall clock, in seconds since its last report, at a packet's timestamp.
    func seconds(of timestamp: UInt32, after origin: NTPTime) -> Double? {
        guard let report = self.reports.last?.report else { return nil }
        let since = Double(Int32(bitPattern: timestamp &- report.rtpTimestamp)) / Double(self.reception.clockRate)
        return report.ntpTime.seconds(since: origin) + since
    }
}
