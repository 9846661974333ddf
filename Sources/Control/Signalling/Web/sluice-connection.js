// The WebSocket to the server: requests and their replies, and noticing that it is gone.
import { SluiceError } from "./sluice-model.js";

const subprotocol = "sluice.v1";
export const requestTimeout = 10_000;
/** The server pings, which a page can't see; without a word for so long it is asked for a sign of life. */
const silenceLimit = 15_000;

/** `onMessage(type, payload)`: what answers no request. `onClosed(event)`: the server or the network closed it.
 *  `onAbandoned(reason)`: it was given up. */
export class Connection {
    constructor(url, { onMessage, onClosed, onAbandoned }) {
        this.url = url;
        this.onMessage = onMessage;
        this.onClosed = onClosed;
        this.onAbandoned = onAbandoned;
    }

    #socket = null;
    #nextId = 1;
    /** Requests that wait for their reply, by id. */
    #pending = new Map();
    #lastHeard = 0;
    #watchdog = null;

    get isThere() { return this.#socket !== null; }

    /** Opens the WebSocket, and closes it again if `greet` fails; resolves with what `greet` did. */
    async open(greet) {
        const socket = new WebSocket(this.url, subprotocol);
        this.#socket = socket;
        let isOpen = false;
        try {
            await new Promise((resolve, reject) => {
                const lost = () => reject(new SluiceError("connectionLost", `no connection to ${this.url}`));
                const timer = setTimeout(() => { lost(); socket.close(); }, requestTimeout);
                socket.onopen = () => { clearTimeout(timer); isOpen = true; resolve(); };
                socket.onclose = socket.onerror = () => { clearTimeout(timer); lost(); };
            });
            socket.onerror = null;
            socket.onclose = (event) => this.#closed(socket, event);
            socket.onmessage = (event) => this.#receive(event.data);
            this.#lastHeard = performance.now();
            const result = await greet();
            this.#watchdog ??= setInterval(() => this.#checkSilence(), 5_000);
            return result;
        } catch (error) {
            if (this.#socket === socket) this.#socket = null;
            socket.onmessage = socket.onclose = socket.onerror = null;
            if (isOpen) socket.close(1000);
            throw error;
        }
    }

    /** The end: what was sent before still goes out. */
    close(error) {
        clearInterval(this.#watchdog);
        this.#failPending(error);
        const socket = this.#release();
        socket?.close(1000);
    }

    /** A socket whose peer is gone takes minutes to say so itself. */
    abandon(reason) {
        const socket = this.#release();
        if (!socket) return;
        socket.close();
        this.#failPending(new SluiceError("connectionLost", reason));
        this.onAbandoned(reason);
    }

    /** Gives the connection up unless the server says something in time. */
    async check(timeout, reason) {
        const socket = this.#socket;
        const since = performance.now();
        try {
            await this.request("stats", {}, timeout);
        } catch {
            if (socket && socket === this.#socket && this.#lastHeard < since) this.abandon(reason);
        }
    }

    tell(type, payload, id) {
        if (this.#socket?.readyState !== WebSocket.OPEN) return false;
        this.#socket.send(JSON.stringify(id === undefined ? { type, payload } : { type, payload, id }));
        return true;
    }

    request(type, payload, timeout = requestTimeout) {
        return new Promise((resolve, reject) => {
            const id = this.#nextId;
            this.#nextId += 1;
            const timer = setTimeout(() => {
                this.#pending.delete(id);
                reject(new SluiceError("timeout", `no answer to '${type}' in ${timeout / 1000} s`));
            }, timeout);
            this.#pending.set(id, { resolve, reject, timer });
            if (!this.tell(type, payload, id)) {
                this.#pending.delete(id);
                clearTimeout(timer);
                reject(new SluiceError("connectionLost", "there is no connection to the server"));
            }
        });
    }

    #release() {
        const socket = this.#socket;
        this.#socket = null;
        if (socket) socket.onmessage = socket.onclose = socket.onerror = null;
        return socket;
    }

    #closed(socket, event) {
        if (socket !== this.#socket) return;
        this.#socket = null;
        this.#failPending(new SluiceError("connectionLost", "the connection to the server was lost"));
        this.onClosed(event);
    }

    #failPending(error) {
        for (const { reject, timer } of this.#pending.values()) {
            clearTimeout(timer);
            reject(error);
        }
        this.#pending.clear();
    }

    #receive(text) {
        this.#lastHeard = performance.now();
        let frame;
        try { frame = JSON.parse(text); } catch { return; }
        const { type, id } = frame;
        const payload = frame.payload ?? {};
        const waiting = id === undefined ? undefined : this.#pending.get(id);
        if (!waiting) {
            this.onMessage(type, payload);
            return;
        }
        this.#pending.delete(id);
        clearTimeout(waiting.timer);
        if (type === "error") waiting.reject(new SluiceError(payload.code, payload.message));
        else waiting.resolve(payload);
    }

    /** One that is not open yet has a limit of its own, and what was heard last was on the connection before it. */
    #checkSilence() {
        if (this.#socket?.readyState !== WebSocket.OPEN) return;
        if (performance.now() - this.#lastHeard >= silenceLimit) this.check(5_000, "the server does not answer");
    }
}
