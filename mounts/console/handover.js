/*
 * handover.js - from one connection to the next without a lost or a doubled message.
 *
 * While both are open, a message comes on both:
 *
 *     old   a b c d e f |                 what is shown while both are open
 *     new       c d e f g h               held, until the old one is closed at |
 *
 * Messages have no number.  But both connections see a channel in the same order, so that what the new one brings
 * is a stretch of the old one's messages (c d e f), and then more.  Where that stretch starts is found by its
 * content; where the content repeats itself (tick tick tick), the place that is nearest in time is taken.  From
 * there on the two are walked together: what both have is shown once, what only the new one has is shown too.
 *
 * Best is to close the old one in a quiet moment, when nothing is under way on either: then what comes next is new,
 * whatever it looks like.
 *
 * A message here is {channel, key, at}: key is equal for equal values, at is when it arrived, in ms.
 */

/* Copies of one message arrive much closer than this, if at all. */
const APART_MS_MAX = 500;

function agrees(old, start, fresh) {
	const length = Math.min(old.length - start, fresh.length);

	for (let i = 0; i < length; i++) {
		if (old[start + i].key !== fresh[i].key)
			return false;
	}
	return true;
}

/* Where in `old` the new connection's messages begin; old.length where they have nothing in common. */
export function findStart(old, fresh) {
	const [first] = fresh;
	const distance = (start) => Math.abs(old[start].at - first.at);

	const starts = old
		.map((message, index) => index)
		.filter((index) => old[index].key === first.key && distance(index) <= APART_MS_MAX)
		.sort((left, right) => distance(left) - distance(right));
	return starts.find((start) => agrees(old, start, fresh)) ?? old.length;
}

export class Handover {
	#old = new Map();	// channel -> messages of the old connection
	#held = [];		// messages of the new one, of all channels, in order
	#next = new Map();	// channel -> which of the old one's messages is expected next
	#inStep = false;	// at the cut, both had brought the same

	/* A message of the old connection: show it. */
	fromOld(message) {
		const messages = this.#old.get(message.channel);

		if (messages)
			messages.push(message);
		else
			this.#old.set(message.channel, [message]);
	}

	/* A message of the new connection, while the old one is still open: not shown yet. */
	hold(message) {
		this.#held.push(message);
	}

	/* The old connection is closed, in a quiet moment or not.  Returns what is to be shown of what was held. */
	cut(quiet) {
		this.#inStep = quiet;
		const fresh = new Map();

		for (const message of this.#held) {
			const messages = fresh.get(message.channel);
			if (messages)
				messages.push(message);
			else
				fresh.set(message.channel, [message]);
		}
		for (const [channel, messages] of fresh)
			this.#next.set(channel, findStart(this.#old.get(channel) ?? [], messages));
		const shown = this.#held.filter((message) => this.admit(message));
		this.#held = [];
		return shown;
	}

	/* A message of the new connection, after the cut: is it to be shown? */
	admit(message) {
		const old = this.#old.get(message.channel) ?? [];
		const next = this.#next.get(message.channel) ?? (this.#inStep ? old.length : findStart(old, [message]));
		const seen = next < old.length && old[next].key === message.key;

		this.#next.set(message.channel, seen ? next + 1 : old.length);
		return !seen;
	}
}
