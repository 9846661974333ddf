import DTLS
import SRTP

/// Both directions of a peer's SRTP; exists only after the certificate was verified.
struct SRTPContexts: ~Copyable {
    var sender: SRTPSender
    var receiver: SRTPReceiver
    let profile: SRTPProfile

    /// `nil` when the library refuses the keys, which it does only when memory is short.
    static func make(_ keys: DTLSKeys, library: SRTPLibrary) -> SRTPContexts? {
        guard let profile = SRTPProfile(rawValue: keys.profile),
            let material = SRTPKeyingMaterial(
                profile: profile,
                exporterBlock: keys.exporterBlock,
                isServer: keys.isServer
            )
        else { return nil }
        do throws(SRTPSetupError) {
            return SRTPContexts(
                sender: try SRTPSender(material, library: library),
                receiver: try SRTPReceiver(material, library: library),
                profile: profile
            )
        } catch { return nil }
    }
}
