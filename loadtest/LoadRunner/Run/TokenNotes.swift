import Foundation

/// What is known of a run's token (RFC 7519) before it is used. Servers decide what it opens: these are hints.
package enum TokenNotes {
    private struct Claims: Decodable {
        var sub: String?
        var room: String?
        var exp: Double?
    }

    /// - Parameter now: seconds since 1970.
    /// - Returns: what will go wrong if the server reads the claims as Sluice does; nothing for what is no JWT.
    package static func notes(on token: String, for scenario: Scenario, rooms prefix: String, now: Double) -> [String] {
        guard let claims = self.claims(token) else { return [] }
        var notes: [String] = []
        if let identity = claims.sub, scenario.participants > 1 {
            notes.append(
                "the token says that its bearer is \"\(identity)\", and \(scenario.participants) participants use it: each "
                    + "drops the one before it. Make one that names nobody (sluice token without --identity)"
            )
        }
        let rooms = scenario.rooms == 1 ? "\(prefix)0" : "\(prefix)0 to \(prefix)\(scenario.rooms - 1)"
        if let room = claims.room, room != "*", scenario.rooms > 1 || room != "\(prefix)0" {
            notes.append(
                "the token opens the room \"\(room)\", and this run uses \(rooms): make one for every room "
                    + "(sluice token --room '*')"
            )
        }
        if let expiry = claims.exp, expiry < now { notes.append("the token expired \(Int(now - expiry)) s ago") }
        return notes
    }

    private static func claims(_ token: String) -> Claims? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3 else { return nil }
        var text = parts[1].replacing("-", with: "+").replacing("_", with: "/")
        while text.utf8.count % 4 != 0 { text += "=" }
        return Data(base64Encoded: String(text)).flatMap { try? JSONDecoder().decode(Claims.self, from: $0) }
    }
}
