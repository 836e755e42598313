/*
 * proxy.js - the network between a client and a server, for a test to break.
 *
 * Connections can be cut, held up so that nothing comes through, or refused by how their request begins, as a proxy
 * does that knows no WebSocket.
 */
import {once} from 'node:events';
import {connect, createServer} from 'node:net';

export class Proxy {
	#server;
	#pairs = new Set();	// {near, far}
	#isHeld = false;
	/* Requests whose head matches are cut; null: none. */
	refuses = null;
	/* The first lines of all requests. */
	requests = [];

	/* `target` has a port, which may change. */
	static async start(target) {
		const proxy = new Proxy();

		proxy.#server = createServer((near) => proxy.#accept(near, target.port)).listen(0, '127.0.0.1');
		await once(proxy.#server, 'listening');
		proxy.port = proxy.#server.address().port;
		proxy.origin = `http://127.0.0.1:${proxy.port}`;
		return proxy;
	}

	async #accept(near, port) {
		near.on('error', () => {});
		const [head] = await once(near, 'data').catch(() => []);
		if (!head)
			return;
		near.pause();
		this.requests.push(head.toString('latin1').split('\r\n', 1)[0]);
		if (this.refuses?.test(head.toString('latin1'))) {
			near.destroy();
			return;
		}
		const pair = {near, far: connect(port, '127.0.0.1')};
		this.#pairs.add(pair);
		pair.far.on('error', () => near.destroy());
		pair.far.write(head);
		near.pipe(pair.far);
		pair.far.pipe(near);
		for (const [one, other] of [[near, pair.far], [pair.far, near]])
			one.on('close', () => {
				this.#pairs.delete(pair);
				other.destroy();
			});
		if (this.#isHeld)
			this.#holdPair(pair);
	}

	#holdPair({near, far}) {
		far.unpipe(near);
		far.pause();
	}

	/* Nothing from the server comes through any more, on no connection, or on the n-th of those that there are. */
	hold(n) {
		this.#isHeld = n === undefined;
		for (const pair of n === undefined ? this.#pairs : [[...this.#pairs][n]])
			this.#holdPair(pair);
	}

	release() {
		this.#isHeld = false;
		for (const {near, far} of this.#pairs)
			far.pipe(near);
	}

	/* Ends all connections as a network does that is gone. */
	cut() {
		for (const {near, far} of this.#pairs) {
			near.resetAndDestroy();
			far.destroy();
		}
	}

	stop() {
		this.cut();
		this.#server.close();
	}
}
