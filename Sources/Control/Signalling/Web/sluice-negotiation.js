// The RTCPeerConnection: offers and answers, and finding the way again when ICE has lost it.
import { SluiceError } from "./sluice-model.js";

const disconnectedPatience = 1_500;
const restartsBeforeRebuild = 3;

export class Negotiation {
    constructor(core) { this.core = core; }

    pc = null;
    #running = null;
    #isNeeded = false;
    /** SDP that was sent and not answered: said again word for word after a resumption. */
    #unanswered = null;
    #waiting = [];
    #restarts = 0;
    #restartTimer = null;

    build({ iceServers, iceTransportPolicy }) {
        this.pc?.close();
        this.core.subscriptions.reset();
        this.#unanswered = null;
        this.#restarts = 0;
        clearTimeout(this.#restartTimer);
        const pc = new RTCPeerConnection({
            iceServers, bundlePolicy: "max-bundle", rtcpMuxPolicy: "require", iceTransportPolicy,
        });
        this.pc = pc;
        pc.onicecandidate = ({ candidate }) => {
            if (pc !== this.pc) return;
            this.core.tell("ice", candidate ? candidate.toJSON() : { candidate: "" });
        };
        pc.oniceconnectionstatechange = () => this.#iceChanged(pc);
        pc.onconnectionstatechange = () => this.#connectionChanged(pc);
        this.core.publishing.rebuild();
    }

    close() {
        clearTimeout(this.#restartTimer);
        this.#settle(new SluiceError("closed", "the room was left"));
        this.pc?.close();
    }

    // MARK: Offers

    /** Asks for an offer; those who ask while one is under way get one more for all of them. */
    negotiate() {
        this.#isNeeded = true;
        this.#running ??= this.#negotiateWhileNeeded().finally(() => {
            this.#running = null;
            if (this.#isNeeded && this.core.isConnected) this.negotiate();
        });
    }

    /** Resolves when an offer that was made from now on is answered. */
    negotiated() {
        return new Promise((resolve, reject) => {
            this.#waiting.push({ resolve, reject });
            this.negotiate();
        });
    }

    #settle(error) {
        const waiting = this.#waiting.splice(0);
        for (const { resolve, reject } of waiting) if (error) reject(error); else resolve();
    }

    async #negotiateWhileNeeded() {
        // What happens in the same turn goes into the same offer.
        await Promise.resolve();
        let failures = 0;
        const { room } = this.core;
        while (this.#isNeeded && room.state === "connected") {
            const { pc } = this;
            this.#isNeeded = false;
            const waiting = this.#waiting.splice(0);
            try {
                await this.#offer(pc);
                failures = 0;
                for (const { resolve } of waiting) resolve();
            } catch (error) {
                if (room.state === "closed" || error.code === "connectionLost") {
                    // Said again when the connection is back.
                    this.#waiting.unshift(...waiting);
                    this.#isNeeded = room.state !== "closed";
                    if (room.state === "closed") this.#settle(error);
                    return;
                }
                failures += 1;
                const mayPass = ["rateLimited", "internal", "timeout"].includes(error.code) && failures < 4;
                if (mayPass) {
                    this.#waiting.unshift(...waiting);
                    this.#isNeeded = true;
                    await new Promise((resolve) => setTimeout(resolve, 500 * failures));
                    continue;
                }
                await this.#takeBack(pc);
                for (const { reject } of waiting) reject(error);
                // Before it is told, so that who hears of it finds what is left.
                if (error.code === "forbidden" && this.core.publishing.dropRefused()) this.#isNeeded = true;
                this.core.emit("error", { error });
            }
        }
    }

    async #offer(pc) {
        const { core } = this;
        if (this.#unanswered !== null) {
            // Made before the connection was lost: it knows nothing of what is wanted since.
            this.#isNeeded = true;
        } else {
            core.subscriptions.addReceivers(pc);
            if (pc.getTransceivers().length === 0) return; // Nothing to send and nothing to receive yet.
            await this.#makeOffer(pc);
            if (pc !== this.pc) return;
        }
        const { intents } = core.publishing;
        if (intents.length > 0) core.tell("publish", intents);
        const { sdp, bindings } = await core.request("offer", { sdp: this.#unanswered });
        if (pc !== this.pc) return;
        // Before anything is awaited: a later message may change them while the answer is applied.
        core.subscriptions.replaceBindings(bindings ?? []);
        await pc.setRemoteDescription({ type: "answer", sdp });
        this.#unanswered = null;
        core.subscriptions.bindTracks();
    }

    async #makeOffer(pc) {
        await pc.setLocalDescription(await pc.createOffer());
        // Trickled candidates are of no use to an ICE-lite server: the offer goes at once.
        if (pc === this.pc) this.#unanswered = pc.localDescription.sdp;
    }

    async #takeBack(pc) {
        this.#unanswered = null;
        if (pc !== this.pc || pc.signalingState !== "have-local-offer") return;
        try { await pc.setLocalDescription({ type: "rollback" }); } catch (error) { this.core.emit("error", { error }); }
    }

    // MARK: ICE

    get isMediaUp() { return ["connected", "completed"].includes(this.pc?.iceConnectionState); }

    #iceChanged(pc) {
        if (pc !== this.pc) return;
        clearTimeout(this.#restartTimer);
        switch (pc.iceConnectionState) {
            case "connected": case "completed": this.#restarts = 0; break;
            // Often passes by itself.
            case "disconnected": this.#restartTimer = setTimeout(() => this.restartICE(), disconnectedPatience); break;
            case "failed": this.restartICE(); break;
            default: break;
        }
    }

    #connectionChanged(pc) {
        if (pc !== this.pc) return;
        if (pc.connectionState === "connected") this.core.emit("connected", {});
        // ICE is there and DTLS is not: only another peer connection mends that.
        if (pc.connectionState === "failed" && this.isMediaUp) this.#rebuild();
    }

    restartICE() {
        const { pc } = this;
        if (this.core.room.state !== "connected" || !pc || pc.remoteDescription === null) return;
        // Those count that have not helped. A browser may restart ICE without ever calling it anything but connected.
        this.#restarts = this.isMediaUp ? 1 : this.#restarts + 1;
        if (this.#restarts > restartsBeforeRebuild) {
            this.#rebuild();
            return;
        }
        pc.restartIce();
        this.negotiate();
        clearTimeout(this.#restartTimer);
        const pause = 2_500 * this.#restarts;
        this.#restartTimer = setTimeout(() => {
            if (pc !== this.pc) return;
            if (this.isMediaUp) this.#restarts = 0; else this.restartICE();
        }, pause);
    }

    #rebuild() {
        if (this.core.room.state !== "connected") return;
        this.core.buildPeerConnection();
        this.negotiate();
        this.#restartTimer = setTimeout(() => { if (!this.isMediaUp) this.restartICE(); }, 5_000);
    }
}
