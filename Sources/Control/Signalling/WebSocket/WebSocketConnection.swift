import Basics
import NIOCore
import NIOWebSocket
import Synchronization

/// One open WebSocket: reads frames, runs the session, and sends what the outbox holds.
struct WebSocketConnection {
    let channel: WebSocketChannel
    let limits: SignallingLimits
    let now: @Sendable () -> Instant
    let heard = LastHeard()

    /// When the peer was last heard of; shared by the reading and the watching task.
    final class LastHeard: Sendable {
        private let nanoseconds = Atomic<Int64>(0)

        var value: Instant {
            get { Instant(nanoseconds: self.nanoseconds.load(ordering: .relaxed)) }
            set { self.nanoseconds.store(newValue.nanoseconds, ordering: .relaxed) }
        }
    }

    /// Returns when the connection is closed.
    func run(session: SignallingSession) async {
        self.heard.value = self.now()
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                await self.read(session)
                return true
            }
            group.addTask {
                await self.write()
                return true
            }
            group.addTask {
                await self.watch(session)
                return false
            }
            var running = 2
            while running > 0, let isEssential = await group.next() { if isEssential { running -= 1 } }
            group.cancelAll()
        }
        self.channel.close()
        await self.channel.waitUntilClosed()
        await session.connectionEnded()
    }

    private var outbox: Outbox { self.channel.outbox }

    private func read(_ session: SignallingSession) async {
        var assembler = MessageAssembler(maxBytes: self.limits.messageBytes)
        var isClosing = false
        do {
            for try await frame in self.channel.frames {
                self.heard.value = self.now()
                // Read to the end: what lies unread when a socket closes takes our close frame with it.
                if isClosing { continue }
                switch assembler.receive(frame) {
                case .nothing: await session.receivedControlFrame()
                case .text(let text): await session.receive(text)
                case .ping(let payload):
                    await session.receivedControlFrame()
                    self.outbox.put(.pong(payload))
                case .pong: await session.receivedControlFrame()
                case .close(let code):
                    self.outbox.close(code: code ?? 1000, reason: "")
                    return
                case .violation(let code, let reason):
                    self.outbox.close(code: code, reason: reason)
                    isClosing = true
                }
            }
        } catch {}
        // NIO has answered a broken frame itself, or the peer is gone.
        self.outbox.abandon()
    }

    private func write() async {
        for await _ in self.outbox.signals {
            while case let batch = self.outbox.takeBatch(at: self.now()), !batch.isEmpty {
                do { try await self.channel.write(batch.map(Self.frame)) } catch {
                    self.channel.close()
                    return
                }
                self.outbox.sent(batch)
            }
        }
        if self.outbox.isOverflowing { return }
        // The close frame is out: the peer has a moment for its own.
        self.channel.close(in: .seconds(1))
    }

    /// Once a second: pings, and ends what is silent, stuck, or never joins.
    private func watch(_ session: SignallingSession) async {
        var lastPing = self.now()
        while !Task.isCancelled {
            do { try await Task.sleep(for: .seconds(1)) } catch { return }
            let now = self.now()
            await session.tick()
            if let verdict = self.outbox.verdict(at: now) {
                // The sending task is stuck: past it, and then the end, whether the client reads it or not.
                self.channel.post(Self.frame(verdict))
                self.channel.close(in: .seconds(1))
                return
            }
            if now - self.heard.value >= self.limits.silenceTimeout {
                self.channel.close()
                return
            }
            if now - lastPing >= self.limits.pingInterval {
                lastPing = now
                self.outbox.put(.ping)
            }
        }
    }

    private static func frame(_ item: Outbox.Item) -> WebSocketFrame {
        switch item {
        case .text(let bytes): return WebSocketFrame(fin: true, opcode: .text, data: ByteBuffer(bytes: bytes))
        case .ping: return WebSocketFrame(fin: true, opcode: .ping, data: ByteBuffer())
        case .pong(let payload): return WebSocketFrame(fin: true, opcode: .pong, data: ByteBuffer(bytes: payload))
        case .close(let code, let reason):
            var data = ByteBuffer()
            data.write(webSocketErrorCode: WebSocketErrorCode(codeNumber: Int(code)))
            // A control frame holds 125 bytes.
            data.writeBytes(reason.utf8.prefix(120))
            return WebSocketFrame(fin: true, opcode: .connectionClose, data: data)
        }
    }
}
