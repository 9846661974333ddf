import Basics
import LoadClient
import Yams

extension ScenarioReader {
    static let largestBitrate = Bitrate.kbps(100_000)

    /// The named links.
    static func links(_ top: ScenarioMap) throws(ScenarioError) -> [String: LinkPair] {
        guard let node = top.node("links") else { return [:] }
        let names = (node.mapping?.keys.compactMap(\.string)) ?? []
        guard names.count <= 64, let map = try top.map("links", allowed: names) else {
            throw top.error("links", "takes at most 64 links")
        }
        var links: [String: LinkPair] = [:]
        for name in names {
            let keys = ["loss", "burst", "delay", "jitter", "bandwidth", "queue"]
            guard let link = try map.map(name, allowed: keys + ["up", "down"]) else { continue }
            let both = try self.link(link)
            var pair = LinkPair(up: both, down: both)
            if let up = try link.map("up", allowed: keys) { pair.up = try self.link(up, over: both) }
            if let down = try link.map("down", allowed: keys) { pair.down = try self.link(down, over: both) }
            links[name] = pair
        }
        return links
    }

    private static func link(_ map: ScenarioMap, over base: LinkProfile = LinkProfile()) throws(ScenarioError)
        -> LinkProfile
    {
        var link = base
        if let loss = try map.fraction("loss", in: 0...1) { link.loss = loss }
        if let burst = try map.fraction("burst", in: 1...1_000) { link.burst = burst }
        if let delay = try map.duration("delay", in: .zero ... .seconds(10)) { link.delay = delay }
        if let jitter = try map.duration("jitter", in: .zero ... .seconds(10)) { link.jitter = jitter }
        if let rate = try map.bitrate("bandwidth", in: .kbps(1) ... .kbps(10_000_000)) { link.bandwidth = rate }
        if let queue = try map.duration("queue", in: .milliseconds(1) ... .seconds(10)) { link.queue = queue }
        return link
    }

    static func groups(
        _ key: String,
        _ top: ScenarioMap,
        _ transport: Scenario.Transport,
        _ links: [String: LinkPair]
    ) throws(ScenarioError) -> [ParticipantGroup] {
        let publishes = key == "publishers"
        let allowed =
            ["name", "count", "link", "feedback", "maxWidth", "maxHeight", "maxFps", "priority"]
            + (publishes ? ["video", "audio", "receives", "phase"] : [])
        let maps = try top.maps(key, allowed: allowed, most: 32)
        var groups: [ParticipantGroup] = []
        for (index, map) in maps.enumerated() {
            var group = ParticipantGroup(name: maps.count > 1 ? "\(key) \(index + 1)" : key)
            group.publishes = publishes
            group.count = try map.integer("count", in: 0...self.largestCount) ?? 1
            if let name = try map.text("link", most: 100) {
                guard let link = links[name] else {
                    let all = links.keys.sorted().joined(separator: ", ")
                    throw map.error("link", "there is no link '\(name)'; links has: \(all.isEmpty ? "none" : all)")
                }
                group.link = link
                group.linkName = name
                if maps.count > 1 { group.name = "\(key), \(name)" }
            }
            if let name = try map.text("name", most: 100) { group.name = name }
            if publishes {
                group.video = try self.video(map)
                group.audio = try self.audio(map)
                guard group.video != nil || group.audio != nil else {
                    throw map.error("video", "publishes nothing: neither video nor audio")
                }
                if let phase = try map.choice("phase", ParticipantGroup.Phase.self) { group.phase = phase }
                group.receives = try map.flag("receives") ?? (transport == .websocket)
                guard !group.receives || transport == .websocket else {
                    throw map.error("receives", "needs transport: websocket; WHIP only publishes")
                }
            }
            if let feedback = try map.choice("feedback", ReceiverFeedback.self) { group.feedback = feedback }
            group.preference = try self.preference(map, transport)
            groups.append(group)
        }
        return groups
    }

    private static func preference(_ map: ScenarioMap, _ transport: Scenario.Transport) throws(ScenarioError)
        -> SignalPayload.Preference?
    {
        let keys = ["maxWidth", "maxHeight", "maxFps", "priority"].filter { map.has($0) }
        guard let first = keys.first else { return nil }
        guard transport == .websocket else {
            throw map.error(first, "needs transport: websocket; WHEP has no wishes")
        }
        return SignalPayload.Preference(
            maxWidth: try map.integer("maxWidth", in: 1...16_384),
            maxHeight: try map.integer("maxHeight", in: 1...16_384),
            maxFps: try map.integer("maxFps", in: 1...240),
            priority: try map.integer("priority", in: 0...255)
        )
    }

    private static func audio(_ map: ScenarioMap) throws(ScenarioError) -> Bitrate? {
        guard let text = try map.text("audio") else { return .kbps(32) }
        if ["false", "no", "off", "none"].contains(text) { return nil }
        if ["true", "yes", "on"].contains(text) { return .kbps(32) }
        guard let rate = Quantity.bitrate(text), (.kbps(6) ... .kbps(510)).contains(rate) else {
            throw map.error("audio", "is '\(text)'; takes true, false, or a bit rate of Opus from 6k to 510k")
        }
        return rate
    }

    private static func video(_ map: ScenarioMap) throws(ScenarioError) -> VideoProfile? {
        guard let node = map.node("video") else { return .simulcast }
        if node.mapping != nil { return try self.profile(map) }
        guard let text = try map.text("video") else { return nil }
        switch text {
        case "none", "false", "no", "off": return nil
        case "simulcast": return .simulcast
        default:
            guard let rate = Quantity.bitrate(text), (.kbps(10)...self.largestBitrate).contains(rate) else {
                throw map.error(
                    "video",
                    "is '\(text)'; takes simulcast, none, a bit rate from 10k to 100M, or a mapping with layers"
                )
            }
            return .single(rate)
        }
    }

    private static func profile(_ group: ScenarioMap) throws(ScenarioError) -> VideoProfile? {
        let keys = ["layers", "framesPerSecond", "temporalLayers", "largestPayload", "dependencyDescriptors"]
        guard let map = try group.map("video", allowed: keys) else { return nil }
        var layers: [VideoProfile.Layer] = []
        let maps = try map.maps("layers", allowed: ["rid", "width", "height", "bitrate"], most: 4)
        for layer in maps {
            guard let width = try layer.integer("width", in: 16...16_383),
                let height = try layer.integer("height", in: 16...16_383),
                let bitrate = try layer.bitrate("bitrate", in: .kbps(10)...self.largestBitrate)
            else { throw layer.error("bitrate", "a layer needs width, height and bitrate") }
            let rid = try layer.text("rid", most: 16)
            guard maps.count == 1 || rid != nil else { throw layer.error("rid", "is missing: each layer has its own") }
            guard rid?.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber) }) != false,
                !layers.contains(where: { $0.rid != nil && $0.rid == rid })
            else { throw layer.error("rid", "takes letters and digits, and each layer its own") }
            layers.append(VideoProfile.Layer(rid: rid, width: width, height: height, bitrate: bitrate))
        }
        guard !layers.isEmpty else { throw map.error("layers", "is missing: the encodings, smallest first") }
        let temporal = try map.integer("temporalLayers", in: 1...3) ?? (layers.count > 1 ? 3 : 1)
        guard temporal != 2 else { throw map.error("temporalLayers", "takes 1 or 3") }
        return VideoProfile(
            layers: layers,
            framesPerSecond: try map.integer("framesPerSecond", in: 1...120) ?? 30,
            temporalLayers: temporal,
            largestPayload: try map.integer("largestPayload", in: 64...1_300) ?? 1_100,
            describesFrames: try map.flag("dependencyDescriptors")
        )
    }
}
