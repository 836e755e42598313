/**
 * push.js - one subscription over many connections.
 *
 *     idle -> connecting -> open -> moving -> open    asked to reconnect: the new one opens, then the old one closes
 *                 ^           |
 *                 +- waiting <+    lost: tried again after a random while that doubles
 *     refused: and would be again
 *
 * Each begins behind the newest id: the server replays what was missed, or tells of the gap. While moving, what the
 * new one brings is held until a quiet moment; what both bring is taken once, by id or content.
 * Where no WebSocket gets through EventSource is taken.
 *
 * @typedef {{channel: string, message: any, id?: string}} Message
 * @typedef {'idle'|'connecting'|'open'|'moving'|'waiting'|'refused'} State
 * @typedef {{
 *   channels?: Iterable<string>, id?: string, acks?: boolean, client?: string, transport?: 'ws'|'sse',
 *   heartbeat?: number, WebSocket?: any, EventSource?: any, message?: (message: Message, text: string) => any,
 *   gap?: (gap: {channel?: string, missed?: number|'unknown'}) => any, resumed?: (data: {replayed: number}) => any,
 *   unknown?: () => any,
 *   error?: (data: {channel?: string, channels?: string[], error: string}) => any, heard?: (event: string) => any,
 *   state?: (state: State, why: {code?: number, status?: number, error?: string, wait?: number}) => any,
 * }} Options
 */

const OPEN_MS = 10_000;
const SILENT_MS = 5000; // and two heartbeats
const STABLE_MS = 5000;
const QUIET_MS = 150;
const MOVE_MS = 1500;
const SETTLE_MS = 3000;
const ACK_MS = 10;
const BLOCKED_MS = 600_000;
const SEEN = 1000;
const REFUSED = /^(4(?!08|29)..|100[3789])$/;

/* url -> until when */
const blocked = new Map();

const parse = (text) => {
	try {
		return JSON.parse(text);
	} catch {
		return null;
	}
};

/** Is connected while it has channels. */
export class Push {
	/** @type {State} */
	state = 'idle';
	/** How far it has come. */
	id;
	#url;
	#on;
	#channels = new Set();
	#link;
	#next; // moving
	#timer;
	#tries = 0;
	#failures = 0;
	#beatMs;
	#moveBy;
	#seen = new Set();
	#plain = new Set(); // channels without ids
	#handled;

	/** @param {string} url @param {Options} [options] */
	constructor(url, options = {}) {
		this.#url = url;
		this.#on = options;
		this.#beatMs = options.heartbeat ?? 30_000;
		this.id = options.id ?? '';
		this.subscribe(options.channels ?? []);
	}

	/** @returns {'ws'|'sse'|undefined} */
	get transport() {
		return this.#link?.name;
	}

	/** @param {Iterable<string>} channels */
	subscribe(channels) {
		for (const channel of channels)
			this.#channels.add(channel);
		this.#sync();
	}

	/** @param {Iterable<string>} channels */
	unsubscribe(channels) {
		for (const channel of channels)
			this.#channels.delete(channel);
		this.#sync();
	}

	close() {
		this.unsubscribe(this.#channels);
	}

	/** Without waiting, or after a refusal. */
	retry() {
		if (/waiting|refused/.test(this.state))
			this.#connect();
	}

	/**
	 * @param {string} channel @param {any} message @param {{key?: string, ttl?: string|number}} [options]
	 * @returns {Promise<{subscribers: number}>}
	 */
	async publish(channel, message, {key, ttl} = {}) {
		const answer = await fetch(`${this.#url}/messages`, {
			method: 'POST',
			headers: {'Content-Type': 'application/json', ...key && {'Idempotency-Key': key}},
			body: JSON.stringify({channel, message, ttl}),
		});
		const body = parse(await answer.text());

		if (!answer.ok)
			throw Object.assign(new Error(body?.error), {status: answer.status});
		return body;
	}

	/* Connections follow the channels. */
	#sync() {
		const wanted = this.#channels;

		if (!wanted.size) {
			this.#close(this.#link);
			this.#close(this.#next);
			this.#next = null;
			this.#wait();
			this.#enter('idle');
		} else if (this.state === 'idle') {
			this.#connect();
		}
		for (const link of [this.#link, this.#next])
			for (const channel of link?.alive && !link.closed ? new Set([...wanted, ...link.channels]) : []) {
				const isWanted = wanted.has(channel);
				if (isWanted === link.channels.has(channel))
					continue;
				if (link.sse) {
					this.#move();
					break;
				}
				// a frame must not be long
				this.#send(link, isWanted ? 'subscribe' : 'unsubscribe', {channels: [channel]});
				link.channels[isWanted ? 'add' : 'delete'](channel);
			}
	}

	#send({sse, socket}, event, data) {
		if (!sse && socket.readyState === 1)
			socket.send(JSON.stringify({event, data}));
	}

	#enter(state, why = {}) {
		if (this.state === state)
			return;
		this.state = state;
		this.#call('state', state, why);
	}

	/* An error in a handler is reported, and stops nothing. */
	#call(name, ...data) {
		const done = (async () => this.#on[name]?.(...data))();

		done.then();
		return done;
	}

	#wait(ms, then) {
		clearTimeout(this.#timer);
		this.#timer = then && setTimeout(then, ms);
	}

	#connect() {
		this.#wait();
		this.#link = this.#open();
		this.#enter('connecting');
	}

	#open() {
		const {transport, acks, client, WebSocket = globalThis.WebSocket, EventSource = globalThis.EventSource} = this.#on;
		const sse = transport ? transport === 'sse' : !WebSocket ||
			EventSource && (this.#failures % 3 > 1 || blocked.get(this.#url) > Date.now());
		const name = sse ? 'sse' : 'ws';
		const channels = new Set(this.#channels);
		let url = `${this.#url}/${name}/messages?channels=${[...channels].map(encodeURIComponent)}`;

		if (this.id)
			url += `&last_event_id=${encodeURIComponent(this.id)}`;
		if (!sse)
			url = url.replace('http', 'ws') + (client ? `&client=${client}` : acks ? '&acks=true' : '');
		const socket = new (sse ? EventSource : WebSocket)(url);
		const link = {sse, name, socket, channels, since: Date.now(), held: [], gaps: new Map(), copies: {__proto__: null}};

		if (sse)
			this.#hearSource(link, socket);
		else
			this.#hearSocket(link, socket);
		this.#watch(link, OPEN_MS);
		return link;
	}

	#hearSocket(link, socket) {
		let error;

		socket.onmessage = ({data: text}) => {
			const frame = parse(text);

			error = frame?.error ?? error;
			this.#heard(link, frame?.event, frame?.data, text);
		};
		socket.onclose = socket.onerror = ({code}) => this.#ended(link, {code, error});
	}

	#hearSource(link, source) {
		let last = '';

		for (const name of ['heartbeat', 'message', 'gap', 'resumed', 'reconnect'])
			source.addEventListener(name, ({data: text, lastEventId: id}) => {
				// an event without shows the last one's
				this.#heard(link, name, id === last ? parse(text) : {...parse(text), id}, text);
				last = id;
			});
		source.onerror = async () => {
			let why = {};

			source.close();
			try {
				const answer = link.alive || await fetch(source.url);
				const {status, headers} = answer;
				if (answer.ok)
					answer.body.cancel();
				else if (status)
					why = {status, error: parse(await answer.text())?.error, wait: headers.get('Retry-After') * 1000};
			} catch {}
			this.#ended(link, why);
		};
	}

	#watch(link, ms) {
		clearTimeout(link.timer);
		link.timer = setTimeout(() => this.#ended(link, {silent: true}), ms);
	}

	#heard(link, name, data, text) {
		const now = Date.now();

		if (!name || link.closed)
			return;
		if (name === 'ping' || name === 'heartbeat') {
			this.#beatMs = now - link.beatAt || this.#beatMs;
			link.beatAt = now;
		}
		this.#watch(link, SILENT_MS + 2 * this.#beatMs);
		this.#call('heard', name);
		if (!link.alive)
			this.#opened(link, now);
		else if (this.#next?.alive && name === 'message')
			this.#cutLater();
		if (link === this.#next)
			link.held.push([name, data, text]);
		else
			this.#take(link, name, data, text);
	}

	#opened(link, now) {
		link.alive = true;
		if (link.sse && this.#failures > 1)
			blocked.set(this.#url, now + BLOCKED_MS);
		this.#failures = link.sse ? 0 : -Infinity;
		if (link === this.#next) {
			this.#moveBy = now + MOVE_MS;
			this.#cutLater();
		} else {
			this.#enter('open');
			this.#sync();
		}
	}

	#take(link, name, data, text) {
		const {channel, id} = data ?? {};
		let done;

		if (name === 'message' && channel) {
			done = this.#message(link, data, text);
		} else if (name === 'reconnect') {
			this.#move();
		} else if (name === 'gap' || name === 'resumed' && !link.moved) {
			this.#call(name, data);
		} else if (data?.new) {
			this.#call('unknown');
		} else if (name === 'error') {
			this.#call(name, data);
			this.unsubscribe(data?.channels ?? [channel]);
		}
		if (typeof id !== 'string')
			return;
		const {acks, client} = this.#on;
		if (!acks && !client)
			this.id = id;
		else
			this.#handled = Promise.allSettled([this.#handled, done]).then(() => {
				this.id = id;
				if (name === 'message') {
					link.ack = id;
					link.ackTimer ??= setTimeout(() => this.#ack(link), ACK_MS);
				}
			});
	}

	#message(link, message, text) {
		const {channel, id} = message;
		const key = `${channel}\n${id ?? JSON.stringify(message)}`;
		const next = this.#next;
		const seen = this.#seen;
		const old = link.copies[channel] ?? [];
		const isNew = id ? !seen.has(key) : !old.includes(key);

		old.splice(0, isNew ? Infinity : old.indexOf(key) + 1);
		// the old connection has filled it, if it brought this
		if (isNew && link.gaps.has(channel))
			this.#call('gap', link.gaps.get(channel));
		link.gaps.delete(channel);
		if (!isNew)
			return;
		(id ? seen : this.#plain).add(id ? key : channel);
		if (next && !id)
			(next.copies[channel] ??= []).push(key);
		for (const oldest of seen) {
			if (next || seen.size <= SEEN)
				break;
			seen.delete(oldest);
		}
		if (this.#channels.has(channel))
			return this.#call('message', message, text);
	}

	#ack(link) {
		clearTimeout(link.ackTimer);
		if (link.ack)
			this.#send(link, 'ack', {id: link.ack});
		link.ack = link.ackTimer = null;
	}

	#close(link) {
		if (!link || link.closed)
			return;
		clearTimeout(link.timer);
		this.#ack(link);
		link.closed = true;
		link.socket.close();
	}

	#move() {
		if (this.#next || !/open|moving/.test(this.state))
			return;
		this.#wait();
		this.#next = this.#open();
		this.#enter('moving');
	}

	#cutLater() {
		const left = this.#moveBy - Date.now();

		this.#wait(Math.min(left, QUIET_MS), () => this.#cut(left >= QUIET_MS));
	}

	#cut(quiet) {
		const old = this.#link;
		const link = this.#link = this.#next;

		this.#next = null;
		this.#close(old);
		this.#wait(quiet ? 0 : SETTLE_MS, () => (link.copies = {}));
		this.#enter(link.alive ? 'open' : 'connecting');
		link.moved = link.alive;
		for (const [name, data, text] of link.held.splice(0)) {
			const channel = data?.channel;

			if (link.closed)
				return;
			if (name !== 'gap' || !channel)
				this.#take(link, name, data, text);
			// what is not kept was not missed either, while both were open
			else if (!this.#plain.has(channel) && old.channels.has(channel))
				link.gaps.set(channel, data);
		}
		link.gaps.forEach((gap) => this.#call('gap', gap));
		link.gaps.clear();
		this.#sync();
	}

	#ended(link, why) {
		const jitter = 0.5 + Math.random() / 2;

		if (link.closed)
			return;
		this.#close(link);
		if (!link.alive)
			this.#failures++;
		if (link === this.#next) {
			this.#next = null;
			this.#wait(1000 * jitter, () => this.#move());
		} else if (this.#next) {
			this.#cut();
		} else {
			if (link.alive && Date.now() - link.since > STABLE_MS)
				this.#tries = 0;
			const wait = Math.max(why.wait || 0, Math.min(30_000, 500 * 2 ** this.#tries++) * jitter);
			const refused = REFUSED.test(why.code ?? why.status);
			this.#wait(wait, !refused && (() => this.#connect()));
			this.#enter(refused ? 'refused' : 'waiting', {...why, wait});
		}
	}
}
