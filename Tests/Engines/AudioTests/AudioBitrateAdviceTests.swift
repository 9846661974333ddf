import Audio
import Basics
import Testing

@Suite("Advice on the bitrate of an audio track")
struct AudioBitrateAdviceTests {
    @Test("advice goes down by a fifth above 5 % of loss, up by a fifth on a good path, and is silent otherwise")
    func advice() {
        let table: [(loss: Double, milliseconds: Int64?, advice: Int64?)] = [
            (0.00, 50, 120), (0.00, 50, 144), (0.02, 50, nil), (0.05, 50, nil), (0.06, 50, 115), (0.00, 100, nil),
            (0.00, nil, nil), (0.009, 99, 138), (1.0, nil, 110), (.nan, 10, nil), (-1, 10, nil), (2, 10, nil),
        ]
        var advice = AudioBitrateAdvice(start: .kbps(100))
        for (index, row) in table.enumerated() {
            let hint = advice.update(
                lossFraction: row.loss,
                roundTripTime: row.milliseconds.map { .milliseconds($0) }
            )
            #expect(hint.map { $0.bitsPerSecond / 1_000 } == row.advice, "row \(index)")
        }
    }

    @Test("advice stays between 32 and 256 kbit/s and says nothing at its ends")
    func adviceRange() {
        var advice = AudioBitrateAdvice(start: .kbps(9_000))
        #expect(advice.bitrate == .kbps(256))
        let up = advice.update(lossFraction: 0, roundTripTime: .milliseconds(1))
        #expect(up == nil)
        var hints = 0
        for _ in 0..<50 where advice.update(lossFraction: 0.5, roundTripTime: nil) != nil { hints += 1 }
        #expect(advice.bitrate == .kbps(32))
        #expect(hints == 10)
        for _ in 0..<50 where advice.update(lossFraction: 0, roundTripTime: .zero) != nil { hints += 1 }
        #expect(advice.bitrate == .kbps(256))
        #expect(hints == 22)
    }
}
