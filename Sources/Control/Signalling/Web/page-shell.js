// What every part of the meeting page uses: the words for what can happen, and where they are shown.
import { SluiceError } from "./sluice.js";

export const $ = (id) => document.getElementById(id);
export const query = new URLSearchParams(location.search);
export const now = () => performance.now();

/** For tests and for the curious: the room, and when what happened (`performance.now()`). */
window.sluice = { room: null, timings: {}, errors: [] };

/** The meeting that the page is in; `room` is null in the lobby. */
export const meeting = { room: null, ownTile: null, screenPublications: [] };

const codeWords = {
    roomFull: "This room is full. Try again when somebody has left.",
    unauthorized: "The server refused your invitation. Ask for a new link.",
    forbidden: "Your invitation does not allow this.",
    draining: "The server is about to restart and takes no new meetings. Try again in a minute.",
    rateLimited: "Too many attempts. Wait a moment and try again.",
    connectionLost: "There is no connection to the server. Check your network and try again.",
    timeout: "The server does not answer. Try again in a moment.",
    sdpUnsupported: "This browser and the server have no way of calling in common.",
    notSupported: "This browser can't make calls: WebRTC is missing or switched off.",
    internal: "Something went wrong at the server. Try again.",
};

export const closeWords = {
    duplicateIdentity: "You joined this meeting from another window, so this one has left.",
    resumed: "This meeting goes on in another window.",
    removed: "You were taken out of the meeting.",
    roomClosed: "The meeting was ended.",
    connectionLost: "The connection was lost and could not be found again. Join once more when your network is back.",
    mediaEnded: "The call ended because no media came through. A firewall may block UDP.",
};

export function words(error) {
    if (error instanceof SluiceError) {
        const known = codeWords[error.code];
        return known && error.code !== "unauthorized" ? known : `${known ?? "That did not work."} (${error.message})`;
    }
    return `That did not work. (${error?.message ?? error})`;
}

export function deviceWords(error, what) {
    switch (error?.name) {
        case "NotAllowedError": case "SecurityError":
            return `The browser may not use your ${what}. Allow it in the address bar, or join without.`;
        case "NotFoundError": case "OverconstrainedError": return `No ${what} was found. You can join without.`;
        case "NotReadableError": case "AbortError":
            return `Your ${what} does not start; another program may be using it. You can join without.`;
        case "InsecureContextError":
            return "Browsers give camera and microphone only to pages opened with https:// or from localhost. "
                + "You can join without.";
        default: return `Your ${what} does not start. (${error?.message ?? error})`;
    }
}

export function status(text) { $("status").textContent = text; }

export function alertUser(text, action) {
    const box = $("alert");
    box.replaceChildren();
    if (!text) return;
    const message = document.createElement("span");
    message.textContent = text;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    button.textContent = action?.label ?? "Dismiss";
    button.addEventListener("click", () => { box.replaceChildren(); action?.run(); });
    box.append(message, button);
}

export function quietly(promise) { promise.catch((error) => fail(error)); }

export function fail(error) {
    window.sluice.errors.push(String(error?.code ?? error?.name ?? error));
    alertUser(words(error));
}

export function icon(...names) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("aria-hidden", "true");
    for (const name of names) {
        const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
        use.setAttribute("href", `#${name}`);
        svg.append(use);
    }
    return svg;
}

export function rateText(bits) {
    return bits >= 1e6 ? `${(bits / 1e6).toFixed(1)} Mbit/s` : `${Math.round(bits / 1e3)} kbit/s`;
}
