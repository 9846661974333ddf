package import ICE

/// The two ways to take part in ICE: the server waits for checks, the client makes them.
package enum ICERole {
    case lite(ICELiteAgent)
    case full(ICEAgent)
}
