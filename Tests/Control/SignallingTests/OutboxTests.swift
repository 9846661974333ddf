import Basics
import MediaControl
import TestSupport
import Testing

@testable import Rooms
@testable import Signalling

/// ATTACKS A-70: what waits for a client that does not read.
@Suite struct OutboxTests {
    private func outbox() -> Outbox { Outbox(maxBytes: 1_000, sendTimeout: .seconds(5)) }

    private func text(_ name: String, size: Int = 1) -> Outbox.Item {
        .text(Array(name.utf8) + Array(repeating: 0, count: max(size - name.utf8.count, 0)))
    }

    private func takeAll(_ outbox: Outbox) -> [Outbox.Item] {
        var items: [Outbox.Item] = []
        while case let batch = outbox.takeBatch(at: .zero), !batch.isEmpty {
            items += batch
            outbox.sent(batch)
        }
        return items
    }

    @Test func isBoundedInBytes() {
        let outbox = self.outbox()
        #expect(outbox.put(self.text("a", size: 900)))
        #expect(outbox.verdict(at: .zero) == nil)
        #expect(!outbox.put(self.text("b", size: 100)))
        #expect(outbox.verdict(at: .zero) == .close(code: 1013, reason: "the client does not read"))
        #expect(!outbox.put(.ping))
        #expect(outbox.takeBatch(at: .zero).isEmpty)
    }

    @Test func isBoundedInTime() {
        let outbox = self.outbox()
        outbox.put(.ping)
        #expect(outbox.takeBatch(at: .zero) == [.ping])
        #expect(outbox.verdict(at: .zero + .milliseconds(4_999)) == nil)
        #expect(outbox.verdict(at: .zero + .seconds(5)) == .close(code: 1013, reason: "the client does not read"))
    }

    @Test func whatWasSentMakesRoom() {
        let outbox = self.outbox()
        let item = self.text("a", size: 900)
        for _ in 0..<200 {
            #expect(outbox.put(item))
            #expect(self.takeAll(outbox) == [item])
        }
        #expect(outbox.verdict(at: .distantFuture) == nil)
    }

    @Test func whatIsQueuedGoesBeforeTheCloseAndNothingAfter() async {
        let outbox = self.outbox()
        outbox.put(.text([1]))
        outbox.close(code: 1000, reason: "")
        outbox.close(code: 1008, reason: "later")
        #expect(!outbox.put(.text([2])))
        var items: [Outbox.Item] = []
        for await _ in outbox.signals { items += self.takeAll(outbox) }
        #expect(items == [.text([1]), .close(code: 1000, reason: "")])
    }

    @Test func whatIsExpendableTakesHalfOfTheSpaceAndClosesNothing() {
        let outbox = self.outbox()
        #expect(outbox.put(self.text("a", size: 400), as: .expendable))
        #expect(!outbox.put(self.text("b", size: 100), as: .expendable))
        #expect(outbox.put(self.text("c", size: 60), as: .expendable))
        #expect(outbox.put(self.text("d", size: 400)))
        #expect(!outbox.put(self.text("e"), as: .expendable))
        #expect(outbox.verdict(at: .zero) == nil)
        #expect(
            self.takeAll(outbox) == [self.text("a", size: 400), self.text("c", size: 60), self.text("d", size: 400)]
        )
        #expect(outbox.put(self.text("f"), as: .expendable))
    }

    @Test func ofAStateOnlyTheLastWaitsInTheOrderOfTheLast() {
        let outbox = self.outbox()
        let (one, two) = (Outbox.Topic(type: "t", subject: "1"), Outbox.Topic(type: "t", subject: "2"))
        for count in 0..<1_000 {
            #expect(outbox.put(self.text("1:\(count)", size: 400), as: .latest(one)))
            #expect(outbox.put(self.text("2:\(count)", size: 200), as: .latest(two)))
        }
        outbox.put(self.text("x"))
        outbox.put(self.text("1:last"), as: .latest(one))
        #expect(
            self.takeAll(outbox) == [self.text("2:999", size: 200), self.text("x"), self.text("1:last")]
        )
        // One that was sent is not replaced.
        outbox.put(self.text("1:new"), as: .latest(one))
        #expect(self.takeAll(outbox) == [self.text("1:new")])
    }

    @Test func nobodyIsClosedForWhatOthersSayToThem() {
        let info = ParticipantInfo(id: ParticipantID("p"), identity: "", name: "", metadata: .null, tracks: [])
        let events: [(RoomEvent, Outbox.Standing)] = [
            (.relayed(type: "offer", from: ParticipantID("p"), payload: [:]), .expendable),
            (.participantChanged(info), .latest(Outbox.Topic(type: "participantChanged", subject: "p"))),
            (
                .layer(TrackID("t"), LayerSelection(spatial: 0, temporal: 0, reason: "")),
                .latest(Outbox.Topic(type: "layer", subject: "t"))
            ),
            (.activeSpeakers([]), .latest(Outbox.Topic(type: "activeSpeakers", subject: ""))),
            (.participantJoined(info), .required),
            (.trackUnpublished(TrackID("t")), .required),
        ]
        for (event, standing) in events { #expect(ServerMessage(event)?.standing == standing) }
        // The label of a metric is never what a client has made up.
        #expect(ServerMessage(.relayed(type: "made up", from: ParticipantID("p"), payload: [:]))?.label == "relay")
    }

    @Test func aBatchIsBoundedInItemsAndInBytes() {
        let outbox = Outbox(maxBytes: .max, sendTimeout: .seconds(5))
        for count in 0..<100 { outbox.put(self.text("\(count)")) }
        #expect(outbox.takeBatch(at: .zero).count == 64)
        #expect(outbox.takeBatch(at: .zero).count == 36)
        for _ in 0..<3 { outbox.put(self.text("large", size: 10_000)) }
        #expect(outbox.takeBatch(at: .zero).count == 2)
        #expect(outbox.takeBatch(at: .zero).count == 1)
    }

    @Test func whatARoomTellsManyIsWrittenOnceAndIsTheSame() {
        let told = ToldEvents()
        let (anna, ben) = (ParticipantID("anna"), ParticipantID("ben"))
        let events: [RoomEvent] = [
            .participantLeft(anna, .left), .participantLeft(anna, .left), .participantLeft(ben, .left),
            .participantLeft(anna, .left), .participantLeft(anna, .removed), .draining(deadline: 3),
            .relayed(type: "offer", from: anna, payload: [:]),
        ]
        for event in events {
            let message = ServerMessage(event)
            let (again, bytes) = told.message(of: event) ?? (ServerMessage("", .null), [])
            #expect(again == message)
            #expect(bytes == message?.bytes)
        }
        #expect(told.message(of: .removed(.left)) == nil)
    }

    /// Against the plainest model of the same rules.
    @Test(arguments: 0..<20) func anyOrderOfPuttingAndTakingIsRight(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let outbox = Outbox(maxBytes: .max, sendTimeout: .seconds(5))
        var model: [(topic: Outbox.Topic?, item: Outbox.Item)] = []
        for step in 0..<2_000 {
            let item = self.text("\(step)")
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<4:
                let topic = Outbox.Topic(type: "t", subject: "\(Int.random(in: 0..<5, using: &random))")
                model.removeAll { $0.topic == topic }
                model.append((topic, item))
                outbox.put(item, as: .latest(topic))
            case 4..<6:
                model.append((nil, item))
                outbox.put(item)
            default:
                let batch = outbox.takeBatch(at: .zero)
                #expect(batch == model.prefix(64).map(\.item), "seed \(seed), step \(step)")
                model.removeFirst(batch.count)
                outbox.sent(batch)
            }
        }
    }
}
