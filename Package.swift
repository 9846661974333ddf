// swift-tools-version: 6.2
import PackageDescription

// Every target gets the same settings: one place to read, one place to change.
let testSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    // `@_lifetime` on packet views: NIO and PostgresNIO ship with it switched on.
    .enableExperimentalFeature("Lifetimes"),
]
let librarySettings = testSettings + [.strictMemorySafety()]

/// A target of the house: `layer` is the folder below `Sources`, so the manifest reads like docs/architecture.md.
func library(_ layer: String, _ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/\(layer)/\(name)", swiftSettings: librarySettings)
}

func tests(_ layer: String, _ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(
        name: "\(name)Tests",
        dependencies: dependencies + ["TestSupport"],
        path: "Tests/\(layer)/\(name)Tests",
        swiftSettings: testSettings
    )
}

let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let metrics: Target.Dependency = .product(name: "Metrics", package: "swift-metrics")
let coreMetrics: Target.Dependency = .product(name: "CoreMetrics", package: "swift-metrics")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let jwt: Target.Dependency = .product(name: "JWTKit", package: "jwt-kit")
let httpStack: [Target.Dependency] = [
    hummingbird,
    .product(name: "HummingbirdCore", package: "hummingbird"),
    .product(name: "HummingbirdTLS", package: "hummingbird"),
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOHTTP1", package: "swift-nio"),
    .product(name: "NIOWebSocket", package: "swift-nio"),
    .product(name: "NIOSSL", package: "swift-nio-ssl"),
    .product(name: "HTTPTypes", package: "swift-http-types"),
    lifecycle, logging, metrics,
]

let package = Package(
    name: "sluice",
    products: [
        .executable(name: "sluice", targets: ["sluice"]),
        .executable(name: "sluice-load", targets: ["sluice-load"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(
            url: "https://github.com/apple/swift-configuration",
            from: "1.4.0",
            traits: ["YAML", "CommandLineArguments", "Reloading"]
        ),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
    ],
    targets: [
        // C: module maps and our own shim, nothing else.
        .systemLibrary(
            name: "COpenSSL",
            path: "Sources/C/COpenSSL",
            pkgConfig: "openssl",
            providers: [.apt(["libssl-dev"])]
        ),
        .systemLibrary(
            name: "CSRTP",
            path: "Sources/C/CSRTP",
            pkgConfig: "libsrtp2",
            providers: [.apt(["libsrtp2-dev"])]
        ),
        .systemLibrary(
            name: "COpus",
            path: "Sources/C/COpus",
            pkgConfig: "opus",
            providers: [.apt(["libopus-dev"])]
        ),
        .target(name: "CLinux", path: "Sources/C/CLinux"),
        // Uses Intel's multi-buffer library where its header is (libipsec-mb-dev) and loads it when the process starts.
        .target(
            name: "CMultiBuffer",
            path: "Sources/C/CMultiBuffer",
            cSettings: Context.environment["SLUICE_WITHOUT_MULTIBUFFER"] == nil
                ? [] : [.define("SLUICE_WITHOUT_MULTIBUFFER")]
        ),

        library("Basics", "Basics"),

        // Wire: bytes <-> values.
        library("Wire", "STUN", ["Basics", crypto]),
        library("Wire", "RTP", ["Basics"]),
        library("Wire", "SDP", ["Basics"]),

        // Engines: sans-IO state machines.
        library("Engines", "ICE", ["Basics", "STUN"]),
        library("Engines", "DTLS", ["Basics", "COpenSSL"]),
        library("Engines", "SRTP", ["Basics", "COpenSSL", "CMultiBuffer"]),
        library("Engines", "CongestionControl", ["Basics", "RTP"]),
        library("Engines", "Audio", ["Basics"]),
        library("Engines", "Forwarding", ["Basics", "RTP", "CongestionControl"]),
        library("Engines", "Negotiation", ["Basics", "SDP", "RTP"]),
        library("Engines", "PeerSession", ["Basics", "STUN", "RTP", "ICE", "DTLS", "SRTP", "CongestionControl"]),

        // Media: the only UDP sockets and threads.
        library("Media", "MediaControl", ["Basics", "Negotiation"]),
        library(
            "Media",
            "MediaPlane",
            [
                "Basics", "CLinux", "STUN", "RTP", "ICE", "DTLS", "SRTP", "CongestionControl", "Forwarding",
                "Negotiation",
                "PeerSession", "MediaControl",
            ]
        ),

        // Control: rooms, signalling, operation.
        library("Control", "Rooms", ["Basics", "Audio", "SDP", "MediaControl", "Negotiation", logging, metrics]),
        .target(
            name: "Signalling",
            dependencies: ["Basics", "Rooms", "Negotiation", "MediaControl", jwt] + httpStack,
            path: "Sources/Control/Signalling",
            resources: [.embedInCode("Web")],
            swiftSettings: librarySettings
        ),
        library("Control", "Administration", ["Basics", "Rooms", "MediaControl"] + httpStack),

        // Server: the process.
        // Not named for its folder: swift-configuration's module has the name `Configuration`.
        .target(
            name: "ServerConfiguration",
            dependencies: [
                "Basics",
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "Yams", package: "Yams"),
                lifecycle,
            ],
            path: "Sources/Server/Configuration",
            swiftSettings: librarySettings
        ),
        library("Server", "Observability", ["Basics", logging, coreMetrics]),
        .executableTarget(
            name: "sluice",
            dependencies: [
                "Basics", "Negotiation", "MediaControl", "MediaPlane", "Rooms", "Signalling", "Administration",
                "ServerConfiguration", "Observability", logging, lifecycle,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Sources/Server/sluice",
            swiftSettings: librarySettings
        ),

        // The load tester: a headless client on the same engines.
        .target(
            name: "LoadClient",
            dependencies: [
                "Basics", "CLinux", "COpus", "STUN", "RTP", "SDP", "ICE", "DTLS", "SRTP", "CongestionControl",
                "Forwarding", "Negotiation", "PeerSession",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
            ],
            path: "loadtest/LoadClient",
            swiftSettings: librarySettings
        ),
        // Scenarios, limits and reports.
        .target(
            name: "LoadRunner",
            dependencies: [
                "Basics", "LoadClient",
                .product(name: "Yams", package: "Yams"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
            ],
            path: "loadtest/LoadRunner",
            swiftSettings: librarySettings
        ),
        .executableTarget(
            name: "sluice-load",
            dependencies: [
                "Basics", "LoadClient", "LoadRunner",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "loadtest/sluice-load",
            swiftSettings: librarySettings
        ),

        // Tests: the same tree.
        .target(
            name: "TestSupport",
            dependencies: ["Basics", "RTP", "CongestionControl", "Forwarding"],
            path: "Tests/TestSupport",
            swiftSettings: testSettings
        ),
        // Congestion control in virtual time, against other systems: `make sim`.
        .executableTarget(
            name: "simulation",
            dependencies: ["Basics", "RTP", "CongestionControl", "TestSupport"],
            path: "Tests/Simulation",
            swiftSettings: testSettings
        ),
        .testTarget(
            name: "TestSupportTests",
            dependencies: ["Basics", "CongestionControl", "TestSupport"],
            path: "Tests/TestSupportTests",
            swiftSettings: testSettings
        ),
        .testTarget(
            name: "LoadClientTests",
            dependencies: ["Basics", "Forwarding", "LoadClient", "RTP", "TestSupport"],
            path: "Tests/LoadTest/LoadClientTests",
            swiftSettings: testSettings
        ),
        .testTarget(
            name: "LoadRunnerTests",
            dependencies: ["Basics", "LoadClient", "LoadRunner", "TestSupport"],
            path: "Tests/LoadTest/LoadRunnerTests",
            swiftSettings: testSettings
        ),
        tests("Basics", "Basics", ["Basics"]),
        tests("Wire", "STUN", ["Basics", "STUN"]),
        tests("Wire", "RTP", ["Basics", "RTP"]),
        tests("Wire", "SDP", ["Basics", "SDP"]),
        tests("Engines", "ICE", ["Basics", "STUN", "ICE"]),
        tests("Engines", "DTLS", ["Basics", "COpenSSL", "DTLS"]),
        tests("Engines", "SRTP", ["Basics", "CSRTP", "SRTP"]),
        tests("Engines", "CongestionControl", ["Basics", "RTP", "CongestionControl"]),
        tests("Engines", "Audio", ["Basics", "Audio"]),
        tests("Engines", "Forwarding", ["Basics", "RTP", "CongestionControl", "Forwarding"]),
        tests("Engines", "Negotiation", ["Basics", "RTP", "SDP", "Negotiation"]),
        tests(
            "Media",
            "MediaPlane",
            ["Basics", "CLinux", "CongestionControl", "MediaControl", "MediaPlane", "Negotiation"]
        ),
        .target(
            name: "ControlTestSupport",
            dependencies: [
                "Basics", "MediaControl", "Negotiation", .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Tests/Control/Support",
            swiftSettings: testSettings
        ),
        tests(
            "Control",
            "Rooms",
            ["ControlTestSupport", "Basics", "MediaControl", "Negotiation", "RTP", "Rooms", logging, metrics]
        ),
        tests(
            "Control",
            "Signalling",
            ["ControlTestSupport", "Basics", "MediaControl", "Negotiation", "RTP", "Rooms", "Signalling", jwt]
                + httpStack
        ),
        tests(
            "Control",
            "Administration",
            ["ControlTestSupport", "Basics", "MediaControl", "Negotiation", "RTP", "Rooms", "Administration"]
                + httpStack
        ),
        .testTarget(
            name: "ServerConfigurationTests",
            dependencies: [
                "Basics", "ServerConfiguration", "TestSupport", .product(name: "Yams", package: "Yams"),
            ],
            path: "Tests/Server/ConfigurationTests",
            swiftSettings: testSettings
        ),
        .testTarget(
            name: "ProcessTests",
            dependencies: ["sluice"],
            path: "Tests/Server/ProcessTests",
            swiftSettings: testSettings
        ),
        tests("Server", "Observability", ["Basics", "Observability", logging, metrics, coreMetrics]),
        .testTarget(
            name: "ScenarioTests",
            dependencies: [
                "Basics", "STUN", "RTP", "SDP", "ICE", "DTLS", "SRTP", "CongestionControl", "Forwarding", "Negotiation",
                "PeerSession", "MediaControl", "MediaPlane", "TestSupport",
            ],
            path: "Tests/Scenarios",
            swiftSettings: testSettings
        ),
    ]
)
