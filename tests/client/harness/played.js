/* played.js - a connection that the test plays, in place of a WebSocket. */

export class Played {
	static all = [];
	readyState = 1;
	isClosed = false;
	/* What the library has sent. */
	sent = [];
	#answered = 0;

	constructor(url) {
		this.url = url;
		Played.all.push(this);
	}

	static get last() {
		return Played.all.at(-1);
	}

	say(event, data = {}) {
		if (!this.isClosed)
			this.onmessage({data: JSON.stringify({event, data})});
	}

	/* Answers the pings. */
	pong() {
		for (const pings = this.sent.filter(({event}) => event === 'ping').length; this.#answered < pings; this.#answered++)
			this.say('pong');
	}

	/* All answer at once, for so long. */
	static answer(ms, tick) {
		const all = () => Played.all.forEach((socket) => socket.pong());

		for (all(), all(); ms > 0; ms -= 10, all(), all())
			tick(Math.min(ms, 10));
	}

	end(code = 1006) {
		if (!this.isClosed)
			this.onclose({code});
	}

	send(text) {
		this.sent.push(JSON.parse(text));
	}

	close() {
		this.isClosed = true;
	}
}
