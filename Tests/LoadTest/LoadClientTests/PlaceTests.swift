import LoadClient
import TestSupport
import Testing

@Suite struct PlaceTests {
    @Test(arguments: [
        ("/whip/sessions/1", "127.0.0.1:8080", "/whip/sessions/1"),
        ("http://127.0.0.1:9000/whip/1?x=y", "127.0.0.1:9000", "/whip/1?x=y"),
        ("https://example.org/a", "example.org:443", "/a"),
        ("http://example.org", "example.org:80", "/"),
        ("//example.org/a", "example.org:80", "/a"),
        ("sessions/1", "127.0.0.1:8080", "/whip/sessions/1"),
        ("./1", "127.0.0.1:8080", "/whip/1"),
        ("../resource/1", "127.0.0.1:8080", "/resource/1"),
        ("../../../1", "127.0.0.1:8080", "/1"),
        ("http://[2001:db8::1]:9000/a", "[2001:db8::1]:9000", "/a"),
    ])
    func `a Location is resolved as RFC 3986 says`(_ location: String, _ server: String, _ path: String) throws {
        let place = WHIPClient.Place(
            server: try #require(ServerAddress("http://127.0.0.1:8080")),
            path: "/whip/room?token=a/b"
        )
        let found = try #require(place.resolving(location))
        #expect(found.server.description == server)
        #expect(found.path == path)
    }

    @Test(arguments: ["", "ftp://example.org/a", "http://:0/"])
    func `what is no place is none`(_ location: String) throws {
        let place = WHIPClient.Place(server: try #require(ServerAddress("http://127.0.0.1:8080")), path: "/whip/room")
        #expect(place.resolving(location) == nil)
    }

    @Test(arguments: [
        ("https://a.example", "https://b.example", true), ("https://a.example", "http://a.example", false),
        ("http://a.example", "http://b.example", true), ("http://a.example", "https://a.example", true),
    ])
    func `a token that went over TLS goes nowhere without`(_ first: String, _ next: String, _ isTrusted: Bool) throws {
        let client = WHIPClient(server: try #require(ServerAddress(first)), token: "t")
        #expect(client.trusts(try #require(ServerAddress(next))) == isTrusted)
    }
}
