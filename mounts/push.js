/**
 * push.js - see push.d.ts.
 * @typedef {(...data: any) => any} Any
 */

const OPEN_MS = 10_000;
const SILENT_MS = 5000; // and two heartbeats
const STABLE_MS = 5000;
const QUIET_MS = 150;
const MOVE_MS = 1500;
const ACK_MS = 10;
const BLOCKED_MS = 600_000;
const SEEN = 1000;
const DENIED = /^4?401$/;
const REFUSED = /^(4(?!08|29)..|100[3789]|440[13])$/;
const LIMITED = /\(push\.limit/; // 1008, too, for now

const EVENTS = ['gap', 'state', 'error', 'heard', 'message', 'resumed', 'unknown'];
const OPTIONS = ['id', ...EVENTS, 'acks', 'client', 'channels', 'transport', 'heartbeat', 'token', 'WebSocket', 'EventSource'];

/** @type {any} */
const NONE = undefined;

const blockedUntil = new Map();

/** @type {Any} */
const fail = (what) => {
	throw new TypeError(what);
};

/** @type {Any} */
const check = (kind, name, names) => {
	const pairs = (/** @type {any} */ other) => [...name].filter((_, i) => other.includes(name.slice(i, i + 2))).length;

	if (!names.includes(name))
		fail(`unknown ${kind} '${name}': did you mean '${[...names].sort((a, b) => pairs(b) - pairs(a))[0]}'?`);
};

/** @type {Any} */
const add = (map, names, handler) => {
	const own = handler?.bind();

	for (const name of names)
		map.set(name, (map.get(name) ?? new Set()).add(own));
	return () => {
		for (const name of names.splice(0)) {
			map.get(name)?.delete(own);
			if (!map.get(name)?.size)
				map.delete(name);
		}
	};
};

/** @type {Any} */
const list = (channels) => typeof channels === 'string' ? [channels] : [...channels];

/** @type {Any} */
const parse = (text) => {
	try {
		return JSON.parse(text);
	} catch {
		return null;
	}
};

/** @param {any} answer */
const refusal = async (answer) => {
	const {status, headers} = answer;

	return {status, error: parse(await answer.text())?.error ?? `status ${status}`, wait: +headers.get('Retry-After') * 1000};
};

export class Push {
	state = 'idle';
	id;
	#url;
	#options;
	#on = new Map(); // event, or * -> handlers
	#channels = new Map(); // name -> handlers
	#link = NONE;
	#next = NONE; // moving
	#timer = NONE;
	#why = NONE;
	#tries = 0;
	#shown = NONE; // token
	#denied = false;
	#failures = 0;
	#beatMs;
	#quiet = false;
	#seen = new Set();
	#kept = new Set(); // channels with ids
	#handled = NONE;
	/** @type {any[]} */
	#unread = [];

	/** @type {Any} */
	constructor(url, options = {}) {
		for (const name in options)
			check('option', name, OPTIONS);
		check('transport', options.transport ?? 'ws', ['ws', 'sse']);
		this.#url = `${url}`.replace(/\/+$/, '');
		if (!/^https?:/.test(this.#url))
			fail(`'${url}' must begin with http:// or https://`);
		if (!/string|function|undefined/.test(typeof options.token))
			fail('token must be a string or a function');
		this.#options = options;
		this.#beatMs = options.heartbeat ?? 30_000;
		this.id = options.id ?? '';
		for (const event of EVENTS)
			add(this.#on, options[event] ? [event] : [], options[event]);
		this.subscribe(options.channels ?? []);
	}

	get transport() {
		return this.#link?.name;
	}

	/** @type {Any} */
	subscribe(channels, handler) {
		const names = list(channels);

		for (const name of names)
			if (name !== /^[^,\p{Cs}]*$/u.exec(name)?.[0])
				fail(`a channel must be a name without a comma, not ${JSON.stringify(name)}`);
		const end = add(this.#channels, names, handler);
		this.#sync();
		return () => {
			end();
			this.#sync();
		};
	}

	/** @type {Any} */
	unsubscribe(channels) {
		for (const channel of list(channels))
			this.#channels.delete(channel);
		this.#sync();
	}

	/** @type {Any} */
	on(event, handler) {
		check('event', event, EVENTS);
		return add(this.#on, [event], handler);
	}

	/** @type {Any} */
	async *[Symbol.asyncIterator]() {
		const queue = this.#unread.splice(0);
		const end = this.on('message', (/** @type {any} */ message) => new Promise((done) => queue.push({message, done})));
		let item;

		try {
			for (;;) {
				item = queue.shift();
				if (item) {
					yield item.message;
					item.done();
				} else if (this.state === 'refused') {
					throw this.#why;
				} else if (this.state === 'idle') {
					return;
				} else {
					await new Promise((wake) => add(this.#on, ['*'], wake));
				}
			}
		} finally {
			item?.done();
			end();
			this.#unread.push(...queue);
		}
	}

	close() {
		this.unsubscribe(this.#channels.keys());
	}

	retry() {
		if (/waiting|refused/.test(this.state)) {
			this.#denied = false;
			this.#connect();
		}
	}

	/** @param {any} channel @param {any} message @param {any} options */
	async publish(channel, message, {key, ...more} = {}) {
		const post = () => this.#post('messages', JSON.stringify({channel, message, ...more}), {
			'Content-Type': 'application/json', ...key && {'Idempotency-Key': key}});
		let answer = await post();

		if (answer.status === 401 && this.#forget())
			answer = await post();
		if (!answer.ok) {
			const {status, error} = await refusal(answer);
			throw Object.assign(new Error(error), {status});
		}
		return parse(await answer.text());
	}

	/** @param {string} path @param {any=} body @param {any=} headers */
	async #post(path, body, headers) {
		const token = await this.#token();

		return fetch(`${this.#url}/${path}`, {method: 'POST', body, headers: {...headers, ...token && {Authorization: `Bearer ${token}`}}});
	}

	#token() {
		const {token} = this.#options;
		const get = async () => typeof token === 'function' ? token() : token;

		return this.#shown ??= get().catch((error) => {
			this.#shown = NONE;
			throw error;
		});
	}

	/* Returns whether there may be another token. */
	#forget() {
		this.#shown = NONE;
		return typeof this.#options.token === 'function';
	}

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
			for (const channel of link?.alive && !link.closed ? new Set([...wanted.keys(), ...link.channels]) : []) {
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

	/** @type {Any} */
	#send(link, event, data) {
		if (!link.sse && link.socket?.readyState === 1)
			link.socket.send(JSON.stringify({event, data}));
	}

	/** @type {Any} */
	#enter(state, why = {}) {
		if (this.state === state)
			return;
		this.state = state;
		this.#call('state', [state, why]);
	}

	/** @type {Any} */
	#call(event, data, more) {
		const all = [this.#on.get(event), this.#on.get('*'), more].flatMap((handlers) => [...handlers ?? []])
			.map(async (handler) => handler?.(...data));

		this.#on.delete('*');
		for (const done of all)
			done.then();
		return Promise.allSettled(all);
	}

	/** @type {Any} */
	#wait(ms, then) {
		clearTimeout(this.#timer);
		this.#timer = then && setTimeout(then, ms);
	}

	#connect() {
		this.#wait();
		this.#link = this.#open();
		this.#enter('connecting');
	}

	/** @type {Any} */
	#open(copies) {
		const {transport, acks, client, WebSocket = globalThis.WebSocket, EventSource = globalThis.EventSource} = this.#options;
		const sse = transport ? transport === 'sse' : EventSource && (!WebSocket ||
			this.#failures % 3 > 1 || blockedUntil.get(this.#url) > Date.now());
		const name = sse ? 'sse' : 'ws';
		const kind = sse ? EventSource : WebSocket;
		const channels = new Set(this.#channels.keys());
		if (!kind)
			fail(`no ${sse ? 'EventSource' : 'WebSocket'} here: pass one as an option`);
		/** @type {any} */
		const link = {sse, name, socket: NONE, channels, copies, held: [], pongs: []};
		const start = (/** @type {any} */ token = NONE, ticket = '') => {
			let url = `${this.#url}/${name}/messages?channels=${[...channels].map(encodeURIComponent)}${ticket}`;

			if (link.closed)
				return;
			if (this.id)
				url += `&last_event_id=${encodeURIComponent(this.id)}`;
			if (!sse)
				url = url.replace('http', 'ws') + (client ? `&client=${encodeURIComponent(client)}` : acks ? '&acks=true' : '');
			link.socket = new kind(url);
			if (sse)
				this.#hearSource(link, link.socket);
			else
				this.#hearSocket(link, link.socket, token);
			this.#watch(link, OPEN_MS);
		};

		this.#watch(link, OPEN_MS);
		if (this.#options.token)
			this.#show(link, start);
		else
			start();
		return link;
	}

	/**
	 * Pages send no headers: a WebSocket sends the token first, an event stream has a ticket.
	 * @param {any} link @param {any} start
	 */
	async #show(link, start) {
		try {
			const token = await this.#token();
			const answer = link.sse && token ? await this.#post('auth/tickets') : NONE;
			if (answer?.ok) {
				link.ticket = parse(await answer.text())?.ticket;
				start(token, `&ticket=${encodeURIComponent(link.ticket)}`);
			} else if (answer && answer.status !== 404) { // 404: not asked for
				this.#ended(link, await refusal(answer));
			} else {
				start(token);
			}
		} catch (error) {
			this.#ended(link, {error: `no token: ${/** @type {any} */ (error)?.message}`});
		}
	}

	/**
	 * Early enough to be tried again on a new connection, and not when all others do.
	 * @type {Any}
	 */
	#renew(link, seconds) {
		link.shown = clearTimeout(link.renewal);
		link.renewal = setTimeout(async () => {
			if (link.closed || !this.#forget())
				return;
			if (link.sse)
				this.#move();
			else
				this.#token().then((/** @type {any} */ token) => link.closed || this.#send(link, 'auth', {token}), () => {});
		}, 1000 * seconds * (0.25 + Math.random() / 4) || 0);
	}

	/** @type {Any} */
	#hearSocket(link, socket, token = NONE) {
		let error = NONE;

		if (token)
			socket.onopen = () => link.shown = !this.#send(link, 'auth', {token});
		socket.onmessage = (/** @type {any} */ {data: text}) => {
			const frame = parse(text);

			error = frame?.error ?? error;
			this.#heard(link, frame?.event, frame?.data, text);
		};
		socket.onclose = socket.onerror = (/** @type {any} */ {code}) => this.#ended(link, {code, error});
	}

	/** @type {Any} */
	#hearSource(link, source) {
		let last = '';

		for (const name of ['heartbeat', 'message', 'gap', 'resumed', 'reconnect', 'expiring', 'unsubscribed'])
			source.addEventListener(name, (/** @type {any} */ {data: text, lastEventId: id}) => {
				// an event without shows the last one's
				this.#heard(link, name, id === last ? parse(text) : {...parse(text), id}, text);
				last = id;
			});
		source.onerror = async (/** @type {any} */ event) => {
			let why = {error: parse(event?.data)?.error};

			source.close();
			try {
				const answer = link.alive || await fetch(source.url);
				if (answer.ok)
					answer.body.cancel();
				else if (answer.status)
					why = await refusal(answer);
			} catch {}
			this.#ended(link, why);
		};
	}

	/** @type {Any} */
	#watch(link, ms) {
		clearTimeout(link.timer);
		link.timer = setTimeout(() => this.#ended(link, {silent: true}), ms);
	}

	/** @type {Any} */
	#heard(link, name, data, text) {
		const now = Date.now();

		if (!name || link.closed)
			return;
		if (name === 'ping' || name === 'heartbeat') {
			this.#beatMs = now - link.beatAt || this.#beatMs;
			link.beatAt = now;
		}
		this.#watch(link, SILENT_MS + 2 * this.#beatMs);
		this.#call('heard', [name]);
		if (!link.alive)
			this.#opened(link, now);
		else if (name !== 'error')
			this.#denied = false;
		if (name === 'pong')
			return link.pongs.shift()?.();
		this.#quiet = false;
		const take = () => this.#take(link, name, data, text);

		if (link === this.#next)
			link.held.push(take);
		else
			take();
	}

	/** @type {Any} */
	#opened(link, now) {
		link.alive = true;
		link.since = now;
		if (link.sse && this.#failures > 1)
			blockedUntil.set(this.#url, now + BLOCKED_MS);
		this.#failures = link.sse ? 0 : -Infinity;
		if (link === this.#next) {
			this.#round();
		} else {
			this.#enter('open');
			this.#sync();
			if (link.copies)
				this.#settle(link);
		}
	}

	/** @type {Any} */
	#take(link, name, data, text) {
		const {channel, id} = data ?? {};
		let done;

		if (name === 'message' && channel) {
			done = this.#message(link, data, text);
		} else if (name === 'reconnect') {
			this.#move();
		} else if (name === 'gap' && channel && link.gaps) {
			link.gaps.set(channel, data);
		} else if (name === 'gap' || name === 'resumed' && !link.moved) {
			this.#call(name, [data]);
		} else if (data?.new) {
			this.#call('unknown', []);
		} else if (name === 'expiring') {
			this.#renew(link, data?.expires_in);
		} else if (name === 'unsubscribed' && data?.reason) {
			link.channels.delete(channel);
			this.#take(link, 'error', {channel, error: data.reason});
		} else if (name === 'error') {
			if (link.shown && !channel && !data?.channels)
				return this.#ended(link, {...data, code: 4401});
			this.#call(name, [data]);
			if (!this.#on.has(name))
				console.warn('push.js:', data);
			this.unsubscribe(data?.channels ?? [channel]);
		}
		if (typeof id !== 'string')
			return;
		const {acks, client} = this.#options;
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

	/** @type {Any} */
	#message(link, message, text) {
		const {channel, id} = message;
		const key = `${channel}\n${id ?? JSON.stringify(message)}`;
		const seen = this.#seen;
		const next = this.#next;
		const old = link.copies?.[channel] ?? [];
		const isNew = !seen.has(key) && !old.includes(key);

		old.splice(0, old.indexOf(key) + 1 || Infinity);
		if (isNew && id && link.gaps?.has(channel))
			this.#call('gap', [link.gaps.get(channel)]);
		link.gaps?.delete(channel);
		if (!isNew)
			return;
		if (id) {
			this.#kept.add(channel);
			seen.add(key);
			while (!next && seen.size > SEEN)
				seen.delete(seen.keys().next().value);
		} else if (next)
			(next.copies[channel] ??= []).push(key);
		if (this.#channels.has(channel))
			return this.#call('message', [message, text], this.#channels.get(channel));
	}

	/** @type {Any} */
	#ack(link) {
		clearTimeout(link.ackTimer);
		if (link.ack)
			this.#send(link, 'ack', {id: link.ack});
		link.ack = link.ackTimer = null;
	}

	/** @type {Any} */
	#close(link) {
		if (!link || link.closed)
			return;
		clearTimeout(link.timer);
		clearTimeout(link.renewal);
		this.#ack(link);
		this.#settled(link);
		link.closed = true;
		link.socket?.close();
	}

	#move() {
		if (this.#next || !/open|moving/.test(this.state))
			return;
		this.#wait();
		this.#next = this.#open({__proto__: null});
		this.#enter('moving');
	}

	/* push.d.ts says why. */
	#round() {
		const next = this.#next;

		this.#wait(OPEN_MS, () => this.#wait(QUIET_MS, () => this.#cut()));
		this.#ping(this.#link, QUIET_MS, () => {
			next.moved = next.gaps = new Map();
			this.#ping(next, 0, () => {
				if (next !== this.#next)
					return;
				if (this.#quiet || Date.now() - next.since > MOVE_MS)
					return this.#cut(this.#quiet);
				this.#quiet = true;
				this.#wait(QUIET_MS, () => this.#round());
			});
		});
	}

	/** @type {Any} */
	#ping(link, ms, then) {
		if (link.sse) // has no pings
			return setTimeout(() => link.closed || then(), ms);
		link.pongs.push(then);
		this.#send(link, 'ping');
	}

	/** @type {Any} */
	#cut(quiet) {
		const link = this.#next;

		this.#wait();
		this.#close(this.#link);
		this.#link = link;
		this.#next = null;
		this.#enter(link.alive ? 'open' : 'connecting');
		for (const take of link.held.splice(0))
			link.closed || take();
		if (quiet)
			this.#settled(link);
		else if (link.alive)
			this.#settle(link);
		this.#sync();
	}

	/** @type {Any} */
	#settle(link) {
		this.#ping(link, MOVE_MS, () => setTimeout(() => this.#ping(link, MOVE_MS, () => this.#settled(link)), QUIET_MS));
	}

	/** @type {Any} */
	#settled(link) {
		for (const [channel, gap] of link.gaps ?? [])
			if (gap.missed > 0 || this.#kept.has(channel))
				this.#call('gap', [gap]);
		link.gaps = link.copies = null;
	}

	/** @type {Any} */
	#ended(link, why) {
		const jitter = 0.5 + Math.random() / 2;

		if (link.closed)
			return;
		this.#close(link);
		if (!link.alive && (link.sse || link.socket))
			this.#failures++;
		if (link === this.#next) {
			this.#next = null;
			this.#wait(1000 * jitter, () => this.#move());
		} else if (this.#next) {
			this.#cut();
		} else {
			if (Date.now() - link.since > STABLE_MS)
				this.#tries = 0;
			const wait = Math.max(why.wait || 0, Math.min(30_000, 500 * 2 ** this.#tries++) * jitter);
			const code = why.code ?? why.status;
			const again = DENIED.test(code) && !this.#denied && !!(this.#forget() || link.ticket);
			this.#denied ||= again;
			const error = why.error ?? `no connection to ${this.#url}`;
			const state = REFUSED.test(code) && !again && !LIMITED.test(error) ? 'refused' : 'waiting';
			this.#why = Object.assign(new Error(error), why);
			if (!this.#on.has('state'))
				console.warn(`push.js: ${state}: ${error}`);
			this.#wait(wait, state === 'waiting' && (() => this.#connect()));
			this.#enter(state, {...why, wait});
		}
	}
}
