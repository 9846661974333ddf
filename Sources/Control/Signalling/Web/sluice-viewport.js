// Asks for as many pixels of each track as its tile has, and for none while it is not seen.

const settleTime = 400;
/** Sizes are rounded up to these steps, so that small changes say nothing. */
const step = 160;

export class Viewport {
    constructor(core) { this.core = core; }

    /** By element: the track's id, the element's state, and what was asked for last. */
    #tiles = new Map();
    #sizes = typeof ResizeObserver === "undefined" ? null : new ResizeObserver((entries) => {
        for (const { target } of entries) this.#changed(target);
    });
    #visibility = typeof IntersectionObserver === "undefined" ? null : new IntersectionObserver((entries) => {
        for (const { target, isIntersecting } of entries) {
            const tile = this.#tiles.get(target);
            if (tile) tile.isVisible = isIntersecting;
            this.#changed(target);
        }
    });

    observe(element, trackId, { priority } = {}) {
        const isKnown = this.#tiles.has(element);
        const isVisible = this.#tiles.get(element)?.isVisible ?? true;
        clearTimeout(this.#tiles.get(element)?.timer);
        this.#tiles.set(element, { trackId, priority, isVisible, asked: "", timer: null });
        if (isKnown) {
            this.#changed(element);
            return;
        }
        // Both report at once what they find.
        this.#sizes?.observe(element);
        this.#visibility?.observe(element);
    }

    unobserve(element) {
        clearTimeout(this.#tiles.get(element)?.timer);
        this.#tiles.delete(element);
        this.#sizes?.unobserve(element);
        this.#visibility?.unobserve(element);
    }

    close() { for (const element of [...this.#tiles.keys()]) this.unobserve(element); }

    #changed(element) {
        const tile = this.#tiles.get(element);
        if (!tile) return;
        clearTimeout(tile.timer);
        tile.timer = setTimeout(() => this.#ask(element, tile), settleTime);
    }

    #ask(element, tile) {
        const { width, height } = element.getBoundingClientRect();
        const isSeen = tile.isVisible && width > 0 && height > 0;
        const pixels = (length) => Math.max(Math.ceil((length * devicePixelRatio) / step) * step, step);
        const wish = {
            // The picture covers the tile: the longer side decides, both are the same for the server's choice.
            maxWidth: isSeen ? pixels(Math.max(width, (height * 16) / 9)) : 0,
            maxHeight: isSeen ? pixels(Math.max(height, (width * 9) / 16)) : 0,
            paused: !isSeen,
        };
        if (tile.priority !== undefined) wish.priority = tile.priority;
        const text = JSON.stringify(wish);
        if (text === tile.asked) return;
        tile.asked = text;
        this.core.subscriptions.prefer(tile.trackId, wish);
    }
}
