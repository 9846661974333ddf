import CLinux

/// An eventfd that a worker's loop waits on. Closed when the last one that may signal it has let go of it, so that a
/// late signal cannot reach a descriptor that is somebody else's by then.
package final class WakeEvent: Sendable {
    let descriptor: CInt

    package init() throws(MediaPlaneError) {
        self.descriptor = cl_eventfd_create()
        guard self.descriptor >= 0 else { throw .systemRefused(call: "eventfd", errno: -self.descriptor) }
    }

    deinit {
        if self.descriptor >= 0 { _ = cl_close(self.descriptor) }
    }

    func signal() { cl_eventfd_signal(self.descriptor) }
    func drain() { cl_eventfd_drain(self.descriptor) }
}
