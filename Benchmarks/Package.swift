// swift-tools-version: 6.2
import PackageDescription

// Benchmarks, a package of their own so that nobody who builds Sluice has to fetch what measures it. The sources are
// those of the main package, by links. Run with `Benchmarks/run.sh`.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableExperimentalFeature("Lifetimes"),
]

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/\(name)", swiftSettings: settings)
}

let underTest: [Target.Dependency] = [
    "Basics", "STUN", "RTP", "ICE", "SRTP", "CongestionControl", "Forwarding", "Negotiation", "PeerSession",
    "MediaControl", "MediaPlane", "RouterHarness",
]

let package = Package(
    name: "benchmarks",
    dependencies: [
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        // Without its jemalloc trait: the allocations are counted by `AllocationCheck`.
        .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: []),
    ],
    targets: [
        .systemLibrary(name: "COpenSSL", path: "Sources/COpenSSL", pkgConfig: "openssl"),
        .target(name: "CLinux", path: "Sources/CLinux"),
        .target(name: "CMultiBuffer", path: "Sources/CMultiBuffer"),
        .target(name: "CAllocations", path: "Sources/CAllocations"),
        .target(name: "CHeap", path: "Sources/CHeap"),
        .target(name: "CMeasured", path: "Sources/CMeasured"),
        .target(name: "CTraffic", path: "Sources/CTraffic"),
        library("Basics"),
        library("STUN", ["Basics", .product(name: "Crypto", package: "swift-crypto")]),
        library("RTP", ["Basics"]),
        library("SDP", ["Basics"]),
        library("ICE", ["Basics", "STUN"]),
        library("DTLS", ["Basics", "COpenSSL"]),
        library("SRTP", ["Basics", "COpenSSL", "CMultiBuffer"]),
        library("CongestionControl", ["Basics", "RTP"]),
        library("Forwarding", ["Basics", "RTP", "CongestionControl"]),
        library("Negotiation", ["Basics", "SDP", "RTP"]),
        library("PeerSession", ["Basics", "STUN", "RTP", "ICE", "DTLS", "SRTP", "CongestionControl"]),
        library("MediaControl", ["Basics", "Negotiation"]),
        library(
            "MediaPlane",
            [
                "Basics", "CLinux", "STUN", "RTP", "ICE", "DTLS", "SRTP", "CongestionControl", "Forwarding",
                "Negotiation",
                "PeerSession", "MediaControl",
            ]
        ),
        library(
            "RouterHarness",
            [
                "Basics", "RTP", "ICE", "DTLS", "CongestionControl", "Negotiation", "PeerSession", "MediaControl",
                "MediaPlane",
            ]
        ),
        library("Workloads", underTest),
        .executableTarget(
            name: "AllocationCheck",
            dependencies: ["Workloads", "CAllocations"],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "InstructionCount",
            dependencies: ["Workloads", "CMeasured"],
            swiftSettings: settings
        ),
        library(
            "LoopbackPeers",
            [
                "Basics", "CTraffic", "CongestionControl", "DTLS", "ICE", "MediaControl", "MediaPlane", "Negotiation",
                "PeerSession", "RouterHarness",
            ]
        ),
        .executableTarget(
            name: "FloorComparison",
            dependencies: ["Basics", "CTraffic", "LoopbackPeers", "SRTP"],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "WorkerScaling",
            dependencies: ["CTraffic", "LoopbackPeers"],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "SessionMemory",
            dependencies: [
                "Basics", "CHeap", "DTLS", "MediaControl", "MediaPlane", "Negotiation", "RouterHarness", "SRTP",
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "PacketPath",
            dependencies: ["Workloads", .product(name: "Benchmark", package: "benchmark")],
            path: "Benchmarks/PacketPath",
            swiftSettings: settings,
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]
        ),
    ]
)
