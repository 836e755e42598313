/*
 * latency.js - how long a message took from here to here.
 *
 * A console can add nothing to a message, so it remembers what it has sent, and takes the first message of the same
 * channel and value for it.  Equal messages are told apart by their order alone.
 */
const WAITING_MAX = 1000;
const WAIT_MS_MAX = 60_000;
const SAMPLES_MAX = 101;

export class Latency {
	#waiting = [];		// {channel, key, at}, oldest first
	#samples = [];

	/* About to be published.  Returns a function that takes it back, for when it was not. */
	sent(channel, value, at) {
		const entry = {channel, key: JSON.stringify(value), at};

		this.#waiting.push(entry);
		if (this.#waiting.length > WAITING_MAX)
			this.#waiting.shift();
		return () => this.#remove(this.#waiting.indexOf(entry));
	}

	/* A message: its latency in ms, or null if someone else published it. */
	match({channel, value, at}) {
		// most consoles only watch
		if (!this.#waiting.length)
			return null;
		const key = JSON.stringify(value);

		while (this.#waiting.length && at - this.#waiting[0].at > WAIT_MS_MAX)
			this.#waiting.shift();
		const index = this.#waiting.findIndex((entry) => entry.channel === channel && entry.key === key);
		if (index < 0)
			return null;
		const latency = at - this.#waiting[index].at;
		this.#remove(index);
		this.#samples.push(latency);
		if (this.#samples.length > SAMPLES_MAX)
			this.#samples.shift();
		return latency;
	}

	#remove(index) {
		if (index >= 0)
			this.#waiting.splice(index, 1);
	}

	/* null without samples */
	median() {
		const sorted = [...this.#samples].sort((left, right) => left - right);

		return sorted.length ? sorted[Math.floor(sorted.length / 2)] : null;
	}

	get count() {
		return this.#samples.length;
	}
}
