import Basics
import MediaControl
import RTP

/// Who speaks: rooms are told the levels that publishers write into their packets (RFC 6464), and make up their minds.
extension MediaRouter {
    private static let audioActivityInterval = Nanoseconds.milliseconds(100)

    @inline(__always)
    mutating func noteLevel(of packet: SourcePacket, track: TrackPointer) {
        let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(packet.bytes))
        guard let level = packet.header.audioLevel(in: bytes) else { return }
        unsafe track.pointee.levelSum &+= Int(level.level)
        unsafe track.pointee.levelCount &+= 1
        self.hasAudioActivity = true
    }

    /// One event for all tracks that had packets, at most every 100 ms.
    mutating func reportAudioActivity(at now: Instant) {
        guard self.hasAudioActivity, now >= self.nextAudioActivity else { return }
        self.hasAudioActivity = false
        self.nextAudioActivity = now + Self.audioActivityInterval
        var activity: [AudioActivity] = []
        for track in unsafe Each(self.audioTracks) {
            let count = unsafe track.pointee.levelCount
            guard count > 0 else { continue }
            // Levels are 0...127, so is their mean.
            let level = UInt8(clamping: unsafe track.pointee.levelSum / count)
            activity.append(AudioActivity(track: unsafe track.pointee.source, level: level, packetCount: count))
            unsafe track.pointee.levelSum = 0
            unsafe track.pointee.levelCount = 0
        }
        self.emit(.audioActivity(activity))
    }
}
