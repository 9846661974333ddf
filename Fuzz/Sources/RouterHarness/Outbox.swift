package import Basics

/// Takes what a router sends in place of the network.
package final class Outbox {
    package struct Datagram {
        package let bytes: [UInt8]
        package let destination: TransportAddress
    }

    /// Off while only the numbers matter: keeping a datagram allocates.
    package var keepsDatagrams = true
    package private(set) var count = 0
    package private(set) var byteCount = 0
    private var datagrams: [Datagram] = []

    package init() {}

    package func take(_ bytes: UnsafeRawBufferPointer, to destination: TransportAddress) {
        self.count += 1
        self.byteCount += bytes.count
        if self.keepsDatagrams { self.datagrams.append(Datagram(bytes: Array(bytes), destination: destination)) }
    }

    package func removeAll() -> [Datagram] {
        defer { self.datagrams = [] }
        return self.datagrams
    }

    package func resetCounts() {
        self.count = 0
        self.byteCount = 0
    }
}
