import CSRTP
import SRTP

/// libsrtp2, the implementation in use everywhere: our second opinion.
final class LibSRTP {
    enum Direction { case outbound, inbound }

    private var session: srtp_t?

    private static let isReady: Bool = srtp_init() == srtp_err_status_ok

    init(_ profile: SRTPProfile, key: [UInt8], salt: [UInt8], direction: Direction) throws {
        guard Self.isReady else { throw SRTPSetupError.library }
        var policy = srtp_policy_t()
        switch profile {
        case .aes128CmSha1_80:
            srtp_crypto_policy_set_rtp_default(&policy.rtp)
            srtp_crypto_policy_set_rtcp_default(&policy.rtcp)
        case .aeadAes128Gcm:
            srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp)
            srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp)
        case .aeadAes256Gcm:
            srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtp)
            srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtcp)
        }
        policy.ssrc.type = direction == .outbound ? ssrc_any_outbound : ssrc_any_inbound
        policy.window_size = 1_024
        policy.allow_repeat_tx = 1
        var master = key + salt
        var created: srtp_t?
        let status = master.withUnsafeMutableBufferPointer { bytes in
            policy.key = bytes.baseAddress
            return srtp_create(&created, &policy)
        }
        guard status == srtp_err_status_ok else { throw SRTPSetupError.library }
        self.session = created
    }

    deinit { if let session = self.session { _ = srtp_dealloc(session) } }

    private typealias Call = (srtp_t?, UnsafeMutableRawPointer?, UnsafeMutablePointer<CInt>?) -> srtp_err_status_t

    private func run(_ call: Call, _ packet: [UInt8], room: Int) -> [UInt8]? {
        var buffer = packet + [UInt8](repeating: 0, count: room)
        var length = CInt(packet.count)
        let status = buffer.withUnsafeMutableBytes { call(self.session, $0.baseAddress, &length) }
        return status == srtp_err_status_ok ? Array(buffer[0..<Int(length)]) : nil
    }

    func protect(_ packet: [UInt8]) -> [UInt8]? { self.run(srtp_protect, packet, room: 160) }
    func unprotect(_ packet: [UInt8]) -> [UInt8]? { self.run(srtp_unprotect, packet, room: 0) }
    func protectRTCP(_ packet: [UInt8]) -> [UInt8]? { self.run(srtp_protect_rtcp, packet, room: 160) }
    func unprotectRTCP(_ packet: [UInt8]) -> [UInt8]? { self.run(srtp_unprotect_rtcp, packet, room: 0) }

    func setRolloverCounter(_ value: UInt32, ssrc: UInt32) { _ = srtp_set_stream_roc(self.session, ssrc, value) }
}
