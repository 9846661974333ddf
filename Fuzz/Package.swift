// swift-tools-version: 6.2
import PackageDescription

// Fuzz targets, a package of their own because every target under test must be instrumented, or the fuzzer would be
// blind to it. The sources are those of the main package, by links. Build and run: `make fuzz` in the main folder.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableExperimentalFeature("Lifetimes"),
    .unsafeFlags(["-sanitize=fuzzer,address"]),
]

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/\(name)", swiftSettings: settings)
}

func fuzzer(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name,
        dependencies: ["FuzzEntry"] + dependencies,
        swiftSettings: settings + [.unsafeFlags(["-parse-as-library"])],
        linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])]
    )
}

let package = Package(
    name: "fuzz",
    dependencies: [
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    ],
    targets: [
        .systemLibrary(name: "COpenSSL", path: "Sources/COpenSSL", pkgConfig: "openssl"),
        .target(name: "CLinux", path: "Sources/CLinux"),
        .target(name: "CMultiBuffer", path: "Sources/CMultiBuffer"),
        .target(name: "CFuzzer"),
        library("FuzzEntry", ["CFuzzer"]),
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
        library("Audio", ["Basics"]),
        library(
            "Rooms",
            [
                "Basics", "Audio", "MediaControl", "Negotiation", .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
            ]
        ),
        library(
            "RouterHarness",
            [
                "Basics", "RTP", "ICE", "DTLS", "CongestionControl", "Negotiation", "PeerSession", "MediaControl",
                "MediaPlane",
            ]
        ),
        fuzzer("FuzzSTUN", ["Basics", "STUN", "ICE"]),
        fuzzer("FuzzRTP", ["Basics", "RTP"]),
        fuzzer("FuzzRTCP", ["Basics", "RTP"]),
        fuzzer("FuzzSDP", ["Basics", "SDP", "ICE", "Negotiation"]),
        fuzzer("FuzzSignalling", ["Basics", "Rooms"]),
        fuzzer(
            "FuzzDemultiplexer",
            ["Basics", "STUN", "Negotiation", "PeerSession", "MediaControl", "MediaPlane", "RouterHarness"]
        ),
    ]
)
