/* played.js - a connection that the test plays, in place of a WebSocket. */

export class Played {
	static all = [];
	readyState = 1;
	isClosed = false;
	/* What the library has sent. */
	sent = [];

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
