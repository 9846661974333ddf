import Basics
import SRTP
import Testing

@Suite("SRTP against the vectors of RFC 3711 and RFC 7714")
struct PublishedVectorTests {
    private static let masterKey = Redacted(hex("E1F97A0D3E018BE0D64FA32C06DE4139"))
    private static let masterSalt = Redacted(hex("0EC675AD498AFEEBB6960B3AABE6"))

    @Test(
        "derives keys as RFC 3711 appendix B.3 does",
        arguments: [
            (UInt8(0), "C61E7A93744F39EE10734AFE3FF7A087"),
            (2, "30CBBC08863D8C85D49DB34A9AE1"),
            (
                1,
                """
                CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE E049646C43D9327AD175578EF7227098
                6371C10C9A369AC2F94A8C5FBCDDDC25 6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2
                """
            ),
        ]
    )
    func derivation(label: UInt8, expected: String) throws {
        let key = try deriveSRTPKey(
            masterKey: Self.masterKey,
            masterSalt: Self.masterSalt,
            label: label,
            count: hex(expected).count
        )
        #expect(key.value == hex(expected))
    }

    @Test("makes the AES-CM key stream of RFC 3711 appendix B.2")
    func keyStream() throws {
        let keys = SRTPSessionKeys(
            profile: .aes128CmSha1_80,
            encryptionKey: Redacted(hex("2B7E151628AED2A6ABF7158809CF4F3C")),
            salt: Redacted(hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD")),
            authenticationKey: Redacted([UInt8](repeating: 0, count: 20))
        )
        var sender = try SRTPSender(rtpKeys: keys, rtcpKeys: keys)
        let zeros = [UInt8](repeating: 0, count: 48)
        let packet = PlainPacket(ssrc: 0, sequence: 0, payload: zeros[...])
        let sealed = try sender.seal(packet)
        let stream = """
            E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0
            """
        #expect(Array(sealed[12..<60]) == hex(stream))
    }

    private static func gcmKeys(_ profile: SRTPProfile) -> SRTPSessionKeys {
        SRTPSessionKeys(
            profile: profile,
            encryptionKey: Redacted((0..<profile.keyLength).map { UInt8($0) }),
            salt: Redacted(hex("517569642070726f2071756f")),
            authenticationKey: Redacted([])
        )
    }

    @Test(
        "seals and opens the RTP packet of RFC 7714 §16",
        arguments: [
            (
                SRTPProfile.aeadAes128Gcm,
                """
                f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833
                899d7f27 beb16a91 52cf765e e4390cce
                """
            ),
            (
                .aeadAes256Gcm,
                """
                32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b
                7aa3db36 dfffd6b0 f9bb7878 d7a76c13
                """
            ),
        ]
    )
    func rtp(profile: SRTPProfile, cipher: String) throws {
        let header = hex("8040f17b 8041f8d3 5501a0b2")
        let plain = header + Array("Gallia est omnis divisa in partes tres".utf8)
        var packet = PlainPacket(ssrc: 0, sequence: 0, payload: [])
        packet.bytes = plain
        let keys = Self.gcmKeys(profile)
        for library in SRTPLibrary.usable {
            var sender = try SRTPSender(rtpKeys: keys, rtcpKeys: keys, library: library)
            var receiver = try SRTPReceiver(rtpKeys: keys, rtcpKeys: keys, library: library)
            var stream = SRTPStreamState()
            let sealed = try sender.seal(packet)
            #expect(sealed == header + hex(cipher), "\(library)")
            #expect(receiver.open(sealed, stream: &stream) == .plain(plain), "\(library)")
            #expect(stream.lastIndex == 0xf17b)
        }
    }

    @Test(
        "seals and opens the RTCP packet of RFC 7714 §17",
        arguments: [
            (
                SRTPProfile.aeadAes128Gcm,
                """
                63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b
                c84aa458 96cf4d2f c5abf872 45d9eade 800005d4
                """
            ),
            (
                .aeadAes256Gcm,
                """
                d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658 c61de047 6f1b6fad
                1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4
                """
            ),
        ]
    )
    func rtcp(profile: SRTPProfile, cipher: String) throws {
        let header = hex("81c8000d 4d617273")
        let body = "4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef deadbeef deadbeef"
        let keys = Self.gcmKeys(profile)
        for library in SRTPLibrary.usable {
            var sender = try SRTPSender(rtpKeys: keys, rtcpKeys: keys, rtcpIndex: 0x5d4, library: library)
            var receiver = try SRTPReceiver(rtpKeys: keys, rtcpKeys: keys, library: library)
            #expect(try sender.sealRTCP(header + hex(body)) == header + hex(cipher), "\(library)")
            #expect(receiver.openRTCP(header + hex(cipher)) == .plain(header + hex(body)), "\(library)")
            #expect(receiver.openRTCP(header + hex(cipher)) == .refused(.replayed))
        }
    }

    @Test("refuses the authenticated but unencrypted RTCP of RFC 7714 §17.3: no profile we negotiate has it")
    func unencryptedRTCP() throws {
        let keys = Self.gcmKeys(.aeadAes128Gcm)
        var receiver = try SRTPReceiver(rtpKeys: keys, rtcpKeys: keys)
        let packet = hex(
            """
            81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef
            deadbeef deadbeef 841dd968 3dd78ec9 2ae58790 125f62b3 000005d4
            """
        )
        #expect(receiver.openRTCP(packet) == .refused(.malformed))
    }

    @Test("takes the exporter block apart by role (RFC 5764 §4.2)")
    func exporterBlock() throws {
        let block = Redacted((0..<60).map { UInt8($0) })
        let server = try #require(
            SRTPKeyingMaterial(profile: .aes128CmSha1_80, exporterBlock: block, isServer: true)
        )
        let client = try #require(
            SRTPKeyingMaterial(profile: .aes128CmSha1_80, exporterBlock: block, isServer: false)
        )
        #expect(client.localKey.value == Array(0..<16) && client.remoteKey.value == Array(16..<32))
        #expect(client.localSalt.value == Array(32..<46) && client.remoteSalt.value == Array(46..<60))
        #expect(server.localKey == client.remoteKey && server.localSalt == client.remoteSalt)
        #expect("\(server.localKey) \(server.localSalt)" == "[redacted] [redacted]")
        #expect(
            SRTPKeyingMaterial(
                profile: .aes128CmSha1_80,
                exporterBlock: Redacted(Array(block.value.dropLast())),
                isServer: true
            )
                == nil
        )
    }
}
