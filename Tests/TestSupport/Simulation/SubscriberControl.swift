package import Basics
package import CongestionControl

/// The congestion control of one subscriber, whichever system's: what a simulated SFU drives.
///
/// `outgoing` is what leaves at the time of the last call; whoever drives it sends and empties it.
package protocol SubscriberControl: AnyObject {
    var outgoing: [SimulatedPacket] { get set }
    var estimate: BandwidthEstimate { get }
    /// When `advance` has something to do.
    var nextDeadline: Instant { get }

    func admit(_ packet: SimulatedPacket, at now: Instant)
    /// A compound RTCP packet: transport-wide feedback or REMB.
    func handleFeedback(_ bytes: [UInt8], at now: Instant)
    func handleReceiverReport(fractionLost: Double, packetCount: Int, roundTripTime: Nanoseconds?, at now: Instant)
    func setGoal(_ goal: ProbeGoal, at now: Instant)
    func routeChanged(at now: Instant)
    func advance(to now: Instant)
}
