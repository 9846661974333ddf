import Basics
import RTP
import Testing

@testable import MediaPlane

@Suite struct ForwardingBatchTests {
    /// A packet of so many bytes of payload, which stays where it is.
    private static func packet(_ payloadLength: Int, in memory: UnsafeMutableRawBufferPointer) throws -> SourcePacket {
        memory[0] = 0x80
        let packet = UnsafeMutableRawBufferPointer(rebasing: memory[0..<(12 + payloadLength)])
        let header = RTPHeaderInfo(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(packet)), extensions: .init())
        return SourcePacket(bytes: packet, header: try #require(header), payloadLength: payloadLength)
    }

    @Test(
        arguments: [
            // Track and payload length of each run, as they came; and where they are then.
            ([(0, 100), (1, 900)], [1, 0]), ([(0, 900), (1, 100)], [0, 1]), ([(0, 100), (0, 900)], [0, 1]),
            ([(0, 900), (1, 160), (0, 400), (0, 1_100)], [0, 2, 3, 1]),
            ([(1, 160), (0, 400), (2, 700), (0, 1_100)], [2, 1, 3, 0]),
        ] as [([(Int, Int)], [Int])]
    )
    func `large packets go first, but those of one track in the order that they came`(
        came: [(Int, Int)],
        order: [Int]
    ) throws {
        // Their addresses tell the tracks apart, nobody looks at them.
        let tracks = UnsafeMutablePointer<Track>.allocate(capacity: 3)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1_500, alignment: 16)
        defer {
            tracks.deallocate()
            memory.deallocate()
        }
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        var batch = ForwardingBatch()
        for (layer, run) in came.enumerated() {
            let packet = try Self.packet(run.1, in: memory)
            let isKept = batch.append(packet, track: tracks + run.0, layer: layer)
            #expect(isKept)
        }
        batch.sortRuns()
        let sorted = (0..<batch.openRuns).map { batch.run($0).layer }
        #expect(sorted == order)
    }
}
