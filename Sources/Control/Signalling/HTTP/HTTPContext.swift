import Hummingbird
import NIOCore
import Rooms

/// A request's context: also who sent it, for the limit on joins.
struct HTTPContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let remoteAddress: SocketAddress?

    init(source: ApplicationRequestContextSource) {
        self.coreContext = CoreRequestContextStorage(source: source)
        self.remoteAddress = source.channel.remoteAddress
    }

    /// A part of the path, decoded; `nil` when it is absent or no UTF-8.
    func pathParameter(_ name: String) -> String? { self.parameters.get(name).flatMap(PercentEncoding.decode) }
}
