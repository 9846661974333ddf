import Basics
import Foundation
import LoadClient
import LoadRunner
import TestSupport
import Testing

@Suite struct ScenarioReaderTests {
    @Test func `a scenario with everything`() throws {
        let scenario = try ScenarioReader.read(
            """
            name: everything
            description: of it
            transport: websocket
            rooms: 3
            joinRate: 30/min
            settle: 500ms
            duration: 2m
            seed: 42
            threads: 2
            publishers:
              - count: 2
                name: stage
                link: bad
                audio: 48k
                video: {framesPerSecond: 15, temporalLayers: 3, dependencyDescriptors: false, layers: [
                  {rid: a, width: 320, height: 180, bitrate: 100k}, {rid: b, width: 640, height: 360, bitrate: 0.4M}]}
              - {count: 1, video: none, receives: false, phase: together}
            subscribers: {count: 7, maxHeight: 180, feedback: reports}
            links:
              bad: {loss: 2%, burst: 3, delay: 40ms, down: {bandwidth: 1M, loss: 0}}
            churn: {rate: 2/s, who: everyone}
            speakers: {count: 1, every: 3s, others: muted}
            limits: {loss: 1%, latencyP99: 20ms, notJoined: 2}
            """,
            file: "x.yaml"
        )
        #expect(scenario.name == "everything")
        #expect(scenario.transport == .websocket)
        #expect(scenario.joinRate == 0.5)
        #expect(scenario.duration == .seconds(120))
        #expect(scenario.participants == 30)
        #expect(scenario.sessions == 30)
        #expect(scenario.groups.map(\.name) == ["stage", "publishers 2", "subscribers"])
        #expect(scenario.groups.map(\.receives) == [true, false, true])
        #expect(scenario.groups[0].video?.layers.map(\.rid) == ["a", "b"])
        #expect(scenario.groups[0].video?.framesPerSecond == 15)
        #expect(scenario.groups[0].video?.describesFrames == false)
        #expect(!scenario.describesFrames(scenario.groups[0].video))
        #expect(scenario.groups[0].audio == .kbps(48))
        #expect(scenario.groups[1].video == nil)
        #expect(scenario.groups.map(\.phase) == [.joining, .together, .joining])
        #expect(scenario.groups.map(\.feedback) == [.all, .all, .reports])
        let link = scenario.groups[0].link
        #expect(link.up.loss == 0.02 && link.down.loss == 0)
        #expect(link.up.bandwidth == nil && link.down.bandwidth == .kbps(1_000))
        #expect(link.up.delay == .milliseconds(40) && link.down.delay == .milliseconds(40))
        #expect(scenario.groups[2].preference?.maxHeight == 180)
        #expect(scenario.churn == .init(rate: 2, who: .everyone))
        #expect(scenario.speakers == .init(count: 1, every: .seconds(3), others: .muted))
        #expect(scenario.limits.contains(Limit(.notJoined, most: 2)))
        #expect(scenario.limits.contains(Limit(.silentStreams, most: 0)))
        #expect(scenario.limits.count == 5)
    }

    @Test func `frames are described where Chromium does it: with RIDs, and over WebSocket`() {
        var scenario = Scenario(name: "test")
        #expect(scenario.describesFrames(.simulcast))
        #expect(!scenario.describesFrames(.single(.kbps(1_500))))
        #expect(!scenario.describesFrames(nil))
        scenario.transport = .websocket
        #expect(scenario.describesFrames(.single(.kbps(1_500))))
        #expect(scenario.describesFrames(nil))
        var video = VideoProfile.simulcast
        video.describesFrames = false
        #expect(!scenario.describesFrames(video))
    }

    @Test func `the smallest scenario has a publisher of simulcast and Opus`() throws {
        let scenario = try ScenarioReader.read("publishers: {}", file: "dir/small.yaml")
        #expect(scenario.name == "small")
        #expect(scenario.publishers.count == 1)
        #expect(scenario.publishers.first?.video == .simulcast)
        #expect(scenario.publishers.first?.audio == .kbps(32))
        #expect(scenario.publishers.first?.receives == false)
        #expect(scenario.limits == Limit.always)
    }

    @Test(arguments: [
        ("", "x.yaml: is empty"),
        ("[1]", "x.yaml:1: needs a mapping"),
        ("publishers: {}\nromms: 3", "x.yaml:2: romms: is no key here; did you mean rooms?"),
        ("publishers: {}\nzebra: 3", "x.yaml:2: zebra: is no key here; there are: name"),
        ("publishers: {}\nrooms: 0", "x.yaml:2: rooms: is '0'; takes a whole number from 1 to 10000"),
        ("publishers: {}\nrooms: 1.5", "rooms: is '1.5'"),
        ("publishers: {}\nrooms: [1]", "rooms: needs a value"),
        ("publishers: {}\nduration: 30", "duration: is '30'; takes a time such as 250ms, 30s or 2m, from 1 s to 24 h"),
        ("publishers: {}\ntransport: sip", "transport: is 'sip'; takes one of: whip, websocket"),
        ("subscribers: {count: 3}", "publishers: nobody publishes"),
        ("publishers: {count: 0}", "publishers: nobody publishes"),
        ("publishers:\n  - {video: none, audio: false}", "x.yaml:2: publishers[0].video: publishes nothing"),
        ("publishers: {audio: 3k}", "publishers.audio: is '3k'"),
        ("publishers: {video: 5k}", "publishers.video: is '5k'"),
        ("publishers: {video: {layers: []}}", "publishers.video.layers: is missing"),
        ("publishers: {video: {layers: [{width: 64, height: 64}]}}", "layers[0].bitrate: a layer needs"),
        ("publishers: {receives: true}", "publishers.receives: needs transport: websocket"),
        ("publishers: {}\nsubscribers: {feedback: some}", "feedback: is 'some'; takes one of: all, reports, none"),
        ("publishers: {phase: odd}", "phase: is 'odd'; takes one of: joining, spread, together, random"),
        ("publishers: {}\nsubscribers: {phase: random}", "subscribers.phase: is no key here"),
        ("publishers: {}\nsubscribers: {maxHeight: 90}", "subscribers.maxHeight: needs transport: websocket"),
        ("publishers: {link: x}", "publishers.link: there is no link 'x'; links has: none"),
        ("publishers: {}\nlinks: {a: {loss: 110%}}", "links.a.loss: is '110%'; takes a share such as 2% or 0.02"),
        ("publishers: {}\nlinks: {a: {up: {lose: 1%}}}", "links.a.up.lose: is no key here; did you mean loss?"),
        ("publishers: {}\nchurn: {who: everyone}", "churn.rate: is missing"),
        ("publishers: {}\nspeakers: {others: muted}", "others: muted needs transport: websocket"),
        ("publishers: {}\nlimits: {latency: 3ms}", "limits.latency: is no key here"),
        ("publishers: {}\nlimits: {loss: 5}", "limits.loss: is '5'"),
        ("publishers: {}\nchurn: {rate: 5/s}", "churn: nobody would leave: there are no subscribers"),
        ("publishers: {}\nlinks: {a: {loss: 1%}}", "links: nobody has the link 'a'"),
        ("publishers: {}\nlimits: {loss: lots}", "limits.loss: is 'lots'"),
        ("publishers: {}\nsubscribers: {count: 90000}\nrooms: 9", "rooms: makes 810009 peer connections"),
        ("publishers: {\n", "this is no YAML"),
        ("publishers: {}\npublishers: {}", "twice"),
    ])
    func `a mistake is named with its place`(text: String, message: String) {
        let error = #expect(throws: ScenarioError.self) { try ScenarioReader.read(text, file: "x.yaml") }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "none")")
    }

    @Test func `a file that is not there`() {
        #expect(throws: ScenarioError.self) { try ScenarioReader.read(path: "/nowhere/x.yaml") }
    }

    @Test func `the scenarios that come with it can be read`() throws {
        var folder = URL(filePath: #filePath)
        for _ in 0..<4 { folder.deleteLastPathComponent() }
        folder.append(path: "loadtest/scenarios")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path()).filter { $0.hasSuffix(".yaml") }
        #expect(files.count >= 5)
        for file in files {
            let scenario = try ScenarioReader.read(path: folder.appending(path: file).path())
            #expect(!scenario.description.isEmpty, "\(file)")
            #expect(scenario.limits.count > Limit.always.count, "\(file)")
        }
    }
}
