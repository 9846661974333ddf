import ControlTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct StaticPageTests {
    @Test func thePagesAreServedWithTheirRules() async throws {
        try await TestServer.run { server in
            for (path, type) in [("/", "text/html"), ("/sluice.js", "text/javascript"), ("/style.css", "text/css")] {
                let page = try await HTTPReply.request("GET", path, port: server.port)
                #expect(page.status == 200)
                #expect(page.headers["content-type"]?.hasPrefix(type) == true)
                #expect(page.headers["content-security-policy"]?.contains("script-src 'self'") == true)
                #expect(page.headers["x-content-type-options"] == "nosniff")
                #expect(!page.body.isEmpty)
                let tag = try #require(page.headers["etag"])
                let again = try await HTTPReply.request("GET", path, port: server.port, headers: ["If-None-Match": tag])
                #expect(again.status == 304 && again.body.isEmpty)
            }
        }
    }

    /// No build step puts the modules together, so a missing one is found by nobody but the browser.
    @Test func everyModuleThatIsImportedIsServed() async throws {
        try await TestServer.run { server in
            var waiting = ["/index.html"]
            var seen: Set<String> = []
            while let path = waiting.popLast() {
                guard seen.insert(path).inserted else { continue }
                let page = try await HTTPReply.request("GET", path, port: server.port)
                #expect(page.status == 200, "\(path)")
                #expect(page.body.split(separator: "\n", omittingEmptySubsequences: false).count < 500, "\(path)")
                let imports = page.body.matches(of: /from "\.(\/[a-z-]+\.js)"/).map { String($0.1) }
                let links = page.body.matches(of: /(?:href|src)="(\/[a-z-]+\.(?:js|css))"/).map { String($0.1) }
                waiting += imports + links
            }
            #expect(seen.isSuperset(of: ["/sluice.js", "/app.js", "/style.css", "/sluice-model.js"]))
            #expect(seen.count >= 14)
        }
    }

    @Test func theEntryToTheSDKKeepsItsName() async throws {
        try await TestServer.run { server in
            let module = try await HTTPReply.request("GET", "/sluice.js", port: server.port)
            #expect(module.body.contains("export class Room extends EventTarget"))
            let reply = try await HTTPReply.request("POST", "/sluice.js", port: server.port)
            #expect(reply.status == 405)
            #expect(reply.headers["allow"] == "GET, HEAD")
        }
    }
}
