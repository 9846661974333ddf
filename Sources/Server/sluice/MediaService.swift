import Glibc
import Logging
import MediaPlane
import Rooms
import ServiceLifecycle

/// Runs the media workers and hands their events to the rooms. It stops last: until then the rooms say goodbye.
struct MediaService: Service {
    let plane: MediaPlane
    let directory: RoomDirectory
    let logger: Logger

    func run() async throws {
        do { try self.plane.start() } catch { throw StartupFailure(error) }
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.directory.run(events: self.plane.events) }
                group.addTask { await self.plane.returnMemory() }
                await group.next()
                group.cancelAll()
            }
        }
        await self.plane.stop()
        self.logger.debug("media workers stopped")
    }
}

extension StartupFailure {
    init(_ error: MediaPlaneError) {
        switch error {
        case .noAddress:
            self = .configuration(
                "media.host names no address of this machine: give one of those that \"ip address\" lists."
            )
        case .bindFailed(let address, let errno):
            let mend =
                switch errno {
                case EADDRINUSE: "choose another media.port or end what uses it"
                case EADDRNOTAVAIL: "set media.host to an address of this machine"
                case EACCES: "choose a media.port above 1023"
                default: "check media.host and media.port"
                }
            self = .system(
                "media.host and media.port ask for UDP \(address), which can't be opened (\(reason(errno))): \(mend)."
            )
        case .noMultiBufferLibrary(let reason):
            self = .configuration(
                "media.crypto is ipsec-mb, which can't be used (\(reason)): install libipsec-mb-dev or set it to auto."
            )
        case .systemRefused(let call, let errno):
            self = .system(
                "The media workers can't start, \(call) failed (\(reason(errno))): check the limits of open files and memory."
            )
        }
    }
}

private func reason(_ errno: Int32) -> String {
    errno == 0 ? "no reason given" : unsafe String(cString: strerror(errno))
}
