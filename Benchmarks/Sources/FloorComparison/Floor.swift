import Basics
import CTraffic
import Glibc
import LoopbackPeers
import SRTP

/// The C program, as a process of its own on core 0.
final class Floor: Forwarder {
    let port: UInt16
    let thread: CInt
    let publisherSockets: [CInt]
    let sinks: OpaquePointer
    private let pipes: (to: CInt, from: CInt)
    private var senders: [Sender] = []
    private let scenario: Scenario

    private final class Sender {
        var srtp: SRTPSender
        init(_ srtp: consuming SRTPSender) { self.srtp = srtp }
    }

    init(_ scenario: Scenario, program: String, cipher: String) throws {
        self.scenario = scenario
        let subscribers = try (0..<scenario.subscribers).map { _ in try LoopbackSocket() }
        self.publisherSockets = try (0..<scenario.publishers).map { _ in try LoopbackSocket().descriptor }
        guard let sinks = ct_sinks_make(subscribers.map(\.descriptor), CInt(subscribers.count)) else {
            throw Failure("no epoll")
        }
        self.sinks = sinks
        let words = [program, cipher, "\(scenario.publishers)"] + subscribers.map { "\($0.port)" }
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        arguments.append(nil)
        defer { for argument in arguments { free(argument) } }
        var pipes = (to: CInt(0), from: CInt(0))
        let process = ct_start(arguments, 0, &pipes.to, &pipes.from)
        let port = process > 0 ? ct_read_number(pipes.from) : -1
        guard port > 0 else { throw Failure("\(program) does not run") }
        self.thread = process
        self.port = UInt16(truncatingIfNeeded: port)
        self.pipes = pipes
        for publisher in 0..<scenario.publishers {
            let keys = SRTPSessionKeys(
                profile: .aeadAes128Gcm,
                encryptionKey: Redacted([UInt8](repeating: UInt8(publisher), count: 16)),
                salt: Redacted([UInt8](repeating: 0, count: 12)),
                authenticationKey: Redacted([])
            )
            self.senders.append(Sender(try SRTPSender(rtpKeys: keys, rtcpKeys: keys)))
        }
    }

    deinit {
        ct_stop(self.thread, self.pipes.to, self.pipes.from)
        ct_sinks_free(self.sinks)
    }

    func seal(publisher: Int, index: Int, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        let packet = self.scenario.packet(publisher: publisher, ssrc: UInt32(publisher), index: index)
        buffer.copyBytes(from: packet)
        return self.senders[publisher].srtp.sealRTP(
            header: UnsafeRawBufferPointer(rebasing: buffer[0..<Scenario.headerLength]),
            payload: UnsafeRawBufferPointer(rebasing: buffer[Scenario.headerLength..<packet.count]),
            rolloverCounter: 0,
            into: buffer
        )
    }
}
