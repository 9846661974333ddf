import ICE

/// The two ways to take part in ICE: the server waits for checks, the client makes them. One of the two is there.
///
/// Two optionals and not an enumeration: an agent changes where it stands, without a copy for every check of a flood.
struct ICERole {
    var lite: ICELiteAgent?
    var full: ICEAgent?

    init(_ agent: ICELiteAgent) { self.lite = agent }
    init(_ agent: ICEAgent) { self.full = agent }
}
