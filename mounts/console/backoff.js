/*
 * backoff.js - how long to wait before the next try.
 *
 * Doubles from half a second to half a minute; half of each wait is drawn, so that the clients of a server that
 * fell over do not come back as one.
 */
const FIRST_MS = 500;
const MOST_MS = 30_000;

export class Backoff {
	#tries = 0;

	reset() {
		this.#tries = 0;
	}

	/* The next wait; the server may ask for a longer one. */
	next(leastMs = 0) {
		const whole = Math.min(MOST_MS, FIRST_MS * 2 ** this.#tries);

		this.#tries++;
		return Math.max(leastMs, whole * (0.5 + Math.random() / 2));
	}
}
