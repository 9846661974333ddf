import Basics
import Rooms
import Signalling
import Testing

/// ATTACKS A-73: what is signed by whom, and what a token must look like.
@Suite struct TokenTests {
    static let now: Int64 = 1_795_000_000
    static let secret = Redacted("0123456789abcdef0123456789abcdef")

    private static func authority() async -> TokenAuthority {
        await TokenAuthority(
            keys: ["key": Self.secret, "other": Redacted("fedcba9876543210fedcba9876543210")],
            now: { Self.now }
        )
    }

    private static func claims(_ change: (inout TokenClaims) -> Void = { _ in }) -> TokenClaims {
        var claims = TokenClaims(key: "key", identity: "alice", room: "r", expiresAt: Self.now + 3_600)
        change(&claims)
        return claims
    }

    @Test func whatIsMintedIsRead() async throws {
        let claims = Self.claims {
            $0.name = "Alice"
            $0.metadata = ["role": "host", "n": [1, 2.5, true, .null]]
            $0.notBefore = Self.now - 10
            $0.grants = Grants(
                publish: false,
                subscribe: true,
                data: false,
                admin: true,
                publishSources: [.camera, .screenAudio]
            )
        }
        let token = try await TokenAuthority.mint(claims, secret: Self.secret)
        #expect(try await Self.authority().verify(token, room: "r") == claims)
    }

    @Test func aStarIsEveryRoom() async throws {
        let token = try await TokenAuthority.mint(Self.claims { $0.room = "*" }, secret: Self.secret)
        #expect(try await Self.authority().verify(token, room: "anything").room == "*")
    }

    @Test(arguments: [(Self.now - 59, true), (Self.now - 60, false), (Self.now, true)])
    func aMinuteOfLeewayAfterItsEnd(expiresAt: Int64, isTaken: Bool) async throws {
        let token = try await TokenAuthority.mint(Self.claims { $0.expiresAt = expiresAt }, secret: Self.secret)
        let result = try? await Self.authority().verify(token, room: "r")
        #expect((result != nil) == isTaken)
    }

    @Test(arguments: [(Self.now + 60, true), (Self.now + 61, false)])
    func aMinuteOfLeewayBeforeItsStart(notBefore: Int64, isTaken: Bool) async throws {
        let token = try await TokenAuthority.mint(Self.claims { $0.notBefore = notBefore }, secret: Self.secret)
        let result = try? await Self.authority().verify(token, room: "r")
        #expect((result != nil) == isTaken)
    }

    @Test(arguments: ["", "short", String(repeating: "long", count: 15)])
    func secretsOfAnyLengthSign(secret: String) async throws {
        let authority = await TokenAuthority(keys: ["key": Redacted(secret)], now: { Self.now })
        let payload = #"{"iss":"key","exp":1795003600,"room":"r"}"#
        let token = HandSigned.token(header: #"{"alg":"HS256"}"#, payload: payload, secret: secret)
        _ = try await authority.verify(token, room: "r")
    }

    @Test func aKeyThatIsTakenAwayIsGone() async throws {
        let authority = await Self.authority()
        let token = try await TokenAuthority.mint(Self.claims(), secret: Self.secret)
        _ = try await authority.verify(token, room: "r")
        await authority.update(keys: ["other": Redacted("x")])
        await #expect(throws: TokenError.unknownKey) { try await authority.verify(token, room: "r") }
    }

    @Test func signedByAnotherKeyIsRefused() async throws {
        let token = try await TokenAuthority.mint(Self.claims(), secret: Redacted("fedcba9876543210fedcba9876543210"))
        await #expect(throws: TokenError.badSignature) { try await Self.authority().verify(token, room: "r") }
    }

    @Test func everyChangedCharacterBreaksIt() async throws {
        let authority = await Self.authority()
        let token = Array(try await TokenAuthority.mint(Self.claims(), secret: Self.secret).utf8)
        for index in token.indices {
            var changed = token
            changed[index] = changed[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            let text = String(decoding: changed, as: UTF8.self)
            await #expect(throws: TokenError.self) { try await authority.verify(text, room: "r") }
        }
    }

    struct BadToken: Sendable, CustomTestStringConvertible {
        let name: String
        var header = #"{"alg":"HS256","typ":"JWT"}"#
        var payload = #"{"iss":"key","sub":"alice","exp":1795003600,"room":"r"}"#
        let error: TokenError
        var testDescription: String { self.name }

        init(_ name: String, header: String, _ error: TokenError) {
            self.name = name
            self.header = header
            self.error = error
        }

        init(_ name: String, payload: String, _ error: TokenError) {
            self.name = name
            self.payload = payload
            self.error = error
        }
    }

    /// Each is signed correctly with the key's secret: nothing but what it says is wrong.
    static let signedButBad: [BadToken] = [
        BadToken("alg none", header: #"{"alg":"none"}"#, .unsupportedAlgorithm),
        BadToken("alg None", header: #"{"alg":"None"}"#, .unsupportedAlgorithm),
        BadToken("alg NONE", header: #"{"alg":"NONE"}"#, .unsupportedAlgorithm),
        BadToken("alg empty", header: #"{"alg":""}"#, .unsupportedAlgorithm),
        BadToken("alg absent", header: #"{"typ":"JWT"}"#, .unsupportedAlgorithm),
        BadToken("alg null", header: #"{"alg":null}"#, .unsupportedAlgorithm),
        BadToken("alg a number", header: #"{"alg":256}"#, .unsupportedAlgorithm),
        BadToken("alg a list", header: #"{"alg":["HS256"]}"#, .unsupportedAlgorithm),
        BadToken("alg hs256", header: #"{"alg":"hs256"}"#, .unsupportedAlgorithm),
        BadToken("alg HS384", header: #"{"alg":"HS384"}"#, .unsupportedAlgorithm),
        BadToken("alg HS512", header: #"{"alg":"HS512"}"#, .unsupportedAlgorithm),
        BadToken("alg RS256", header: #"{"alg":"RS256"}"#, .unsupportedAlgorithm),
        BadToken("alg ES256", header: #"{"alg":"ES256"}"#, .unsupportedAlgorithm),
        BadToken("alg EdDSA", header: #"{"alg":"EdDSA"}"#, .unsupportedAlgorithm),
        BadToken("alg twice", header: #"{"alg":"none","alg":"HS256"}"#, .malformed),
        BadToken("crit", header: #"{"alg":"HS256","crit":["exp"],"exp":1}"#, .malformed),
        BadToken("crit empty", header: #"{"alg":"HS256","crit":[]}"#, .malformed),
        BadToken("b64", header: #"{"alg":"HS256","b64":false}"#, .malformed),
        BadToken("typ another", header: #"{"alg":"HS256","typ":"secevent+jwt"}"#, .malformed),
        BadToken("typ a number", header: #"{"alg":"HS256","typ":1}"#, .malformed),
        BadToken("kid an object", header: #"{"alg":"HS256","kid":{"a":1}}"#, .malformed),
        BadToken("header a list", header: "[]", .malformed),
        BadToken("header no JSON", header: "HS256", .malformed),
        BadToken("payload no JSON", payload: "alice", .malformed),
        BadToken("payload a string", payload: #""alice""#, .malformed),
        BadToken("payload deep", payload: String(repeating: "[", count: 100), .malformed),
        BadToken(
            "payload with a lone surrogate",
            payload: #"{"iss":"key","exp":1795003600,"room":"r","sub":"\ud800"}"#,
            .malformed
        ),
        BadToken("claim twice", payload: #"{"iss":"key","exp":1795003600,"room":"r","room":"*"}"#, .malformed),
        BadToken("iss absent", payload: #"{"exp":1795003600,"room":"r"}"#, .badClaims),
        BadToken("iss a number", payload: #"{"iss":1,"exp":1795003600,"room":"r"}"#, .badClaims),
        BadToken("iss unknown", payload: #"{"iss":"nobody","exp":1795003600,"room":"r"}"#, .unknownKey),
        BadToken("iss of another key", payload: #"{"iss":"other","exp":1795003600,"room":"r"}"#, .badSignature),
        BadToken("iss a path", payload: #"{"iss":"../../dev/null","exp":1795003600,"room":"r"}"#, .unknownKey),
        BadToken("exp absent", payload: #"{"iss":"key","room":"r"}"#, .badClaims),
        BadToken("exp a string", payload: #"{"iss":"key","exp":"1795003600","room":"r"}"#, .badClaims),
        BadToken("exp negative", payload: #"{"iss":"key","exp":-1,"room":"r"}"#, .badClaims),
        BadToken("exp endless", payload: #"{"iss":"key","exp":1e300,"room":"r"}"#, .badClaims),
        BadToken("exp over", payload: #"{"iss":"key","exp":1794990000,"room":"r"}"#, .expired),
        BadToken("exp zero", payload: #"{"iss":"key","exp":0,"room":"r"}"#, .expired),
        BadToken("nbf to come", payload: #"{"iss":"key","exp":1795003600,"nbf":1795003000,"room":"r"}"#, .notYetValid),
        BadToken("nbf a string", payload: #"{"iss":"key","exp":1795003600,"nbf":"0","room":"r"}"#, .badClaims),
        BadToken("room absent", payload: #"{"iss":"key","exp":1795003600}"#, .badClaims),
        BadToken("room empty", payload: #"{"iss":"key","exp":1795003600,"room":""}"#, .badClaims),
        BadToken("room a list", payload: #"{"iss":"key","exp":1795003600,"room":["r"]}"#, .badClaims),
        BadToken("room another", payload: #"{"iss":"key","exp":1795003600,"room":"R"}"#, .otherRoom),
        BadToken("room a pattern", payload: #"{"iss":"key","exp":1795003600,"room":"r*"}"#, .otherRoom),
        BadToken("sub a number", payload: #"{"iss":"key","exp":1795003600,"room":"r","sub":1}"#, .badClaims),
        BadToken("sub empty", payload: #"{"iss":"key","exp":1795003600,"room":"r","sub":""}"#, .badClaims),
        BadToken(
            "sub long",
            payload: #"{"iss":"key","exp":1795003600,"room":"r","sub":""# + String(repeating: "a", count: 257) + #""}"#,
            .badClaims
        ),
        BadToken("name a list", payload: #"{"iss":"key","exp":1795003600,"room":"r","name":[]}"#, .badClaims),
        BadToken(
            "metadata large",
            payload: #"{"iss":"key","exp":1795003600,"room":"r","metadata":""# + String(repeating: "a", count: 4_100)
                + #""}"#,
            .badClaims
        ),
        BadToken(
            "grants a list",
            payload: #"{"iss":"key","exp":1795003600,"room":"r","grants":["admin"]}"#,
            .badClaims
        ),
        BadToken(
            "a grant a string",
            payload: #"{"iss":"key","exp":1795003600,"room":"r","grants":{"admin":"false"}}"#,
            .badClaims
        ),
        BadToken(
            "a grant a number",
            payload: #"{"iss":"key","exp":1795003600,"room":"r","grants":{"publish":1}}"#,
            .badClaims
        ),
        BadToken(
            "a source unknown",
            payload: #"{"iss":"key","exp":1795003600,"room":"r","grants":{"publishSources":["all"]}}"#,
            .badClaims
        ),
        BadToken(
            "sources a string",
            payload: #"{"iss":"key","exp":1795003600,"room":"r","grants":{"publishSources":"camera"}}"#,
            .badClaims
        ),
    ]

    @Test(arguments: signedButBad) func aRightSignatureIsNotEnough(bad: BadToken) async throws {
        let token = HandSigned.token(header: bad.header, payload: bad.payload, secret: Self.secret.value)
        await #expect(throws: bad.error) { try await Self.authority().verify(token, room: "r") }
    }

    @Test func theTableSignsAsItShould() async throws {
        let token = HandSigned.token(
            header: #"{"alg":"HS256","kid":"../../etc/passwd","jku":"https://mallory.example"}"#,
            payload: #"{"iss":"key","sub":"alice","exp":1795003600,"room":"r","unknown":{"a":[]}}"#,
            secret: Self.secret.value
        )
        #expect(try await Self.authority().verify(token, room: "r").identity == "alice")
    }

    @Test(arguments: [
        ("", TokenError.missing), ("a", .malformed), ("a.b", .malformed), ("a.b.c.d", .malformed), ("..", .malformed),
        ("e30.e30.", .unsupportedAlgorithm), ("e30=.e30.AA", .malformed), ("e3 0.e30.AA", .malformed),
        ("+/+/.e30.AA", .malformed), (String(repeating: "a", count: 8_193), .tooLarge), ("e30.e30.A", .malformed),
    ])
    func whatIsNoTokenIsRefused(token: String, error: TokenError) async throws {
        await #expect(throws: error) { try await Self.authority().verify(token, room: "r") }
    }

    @Test func anUnsignedTokenIsRefused() async throws {
        let signed = HandSigned.token(
            header: #"{"alg":"HS256"}"#,
            payload: #"{"iss":"key","exp":1795003600,"room":"r"}"#,
            secret: Self.secret.value
        )
        let unsigned = signed.split(separator: ".").prefix(2).joined(separator: ".") + "."
        await #expect(throws: TokenError.badSignature) { try await Self.authority().verify(unsigned, room: "r") }
    }
}
