/*
 * subscription.js - the life of a subscription, in words and figures that the page shows.
 *
 * Connections are the client library's business (../push.js); here its states become what a person reads, and each
 * message gets the time at which it came.
 *
 * The owner reads `state`, and is told by on.change() that it is another, by on.message(message) of each message
 * once, by on.beat() of each heartbeat, and by on.note(text, kind) of what happened in between.
 */
import {Push} from '../push.js';
import {plural} from './format.js';

/* Why a WebSocket ended (RFC 6455, 7.4.1). */
const CLOSES = {
	1000: 'closed by the server',
	1001: 'ended by the server',
	1003: 'the server refused binary',
	1006: 'connection lost',
	1007: 'the server refused the message',
	1008: 'refused by the server',
	1009: 'the message was too large',
	1013: 'too slow for its messages',
	4401: 'the server asks for another token',
	4403: 'not allowed',
};
const ASKED = 'asked by the server';
const TOO_LATE = 'the server closed it before the new one was open';

function freshState() {
	return {
		phase: 'idle',
		reason: '',		// why it is waiting or refused, in our words
		words: null,		// and in the server's
		since: performance.now(),
		nextTryAt: 0,
		heardAt: null,
		beats: 0,
		beatMs: 0,		// between the last two heartbeats
		lostReason: '',		// why the last connection that was open is no more
		moves: 0,		// to a new connection, since the server asked
		losses: 0,		// connections that ended unasked, and were replaced
		lastReason: '',		// why the latest of both
		lastAt: null,
	};
}

/* What is missing, as the library tells it. */
function gapText({channel, missed}) {
	if (!channel)
		return 'The server lost its broker for a while: messages may be missing here';
	return typeof missed === 'number' ? `${plural(missed, 'message')} of ${channel} missing here`
		: `Of ${channel} messages may be missing here`;
}

export class Subscription {
	state = freshState();
	#request = null;	// {server, transport, channels, from, acks, client, token}
	#on;
	#push = null;
	#beatAt = 0;

	constructor(on) {
		this.#on = on;
	}

	/* `request.server` is a URL; `from`, `client`, `token` are '' for none. */
	start(request) {
		const of = (handle) => (...data) => {
			// a subscription that was replaced has nothing more to say
			if (this.#request === request)
				handle.apply(this, data);
		};
		const last = this.#push;

		this.#request = request;
		last?.close();
		this.state = freshState();
		this.#beatAt = 0;
		const {server, channels, transport, from, acks, client, token} = request;
		try {
			this.#push = new Push(server, {
				channels, transport,
				...from && {id: from}, ...token && {token},
				...transport === 'ws' && (client ? {client} : acks && {acks}),
				state: of(this.#entered),
				message: of(this.#message),
				gap: of((gap) => this.#on.note(gapText(gap), 'bad')),
				resumed: of(({replayed}) => this.#on.note(`Nothing is missing; ${plural(replayed, 'message')} came late`, 'good')),
				unknown: of(() => this.#on.note(`The server has no position of the client ${client}: it starts now`, 'quiet')),
				error: of(({channel, channels: names, error}) =>
					this.#on.note(`Not subscribed to ${names ?? channel}: ${error}`, 'bad')),
				heard: of(this.#heard),
			});
		} catch (error) {
			// what the library itself refuses
			Object.assign(this.state, {phase: 'refused', reason: error.message});
			this.#on.change();
		}
	}

	stop() {
		this.#push?.close();
	}

	tryNow() {
		this.#push?.retry();
	}

	get request() {
		return this.state.phase === 'idle' ? null : this.#request;
	}

	/* The library has entered a state. */
	#entered(phase, why) {
		const {phase: last} = this.state;
		const more = {reason: '', words: null};

		if (phase === 'open')
			this.#opened(last);
		else if (phase === 'connecting' && last === 'moving')
			this.#lostWhileMoving();
		else if (phase === 'waiting' || phase === 'refused')
			this.#lost(phase, last === 'open' || last === 'moving', why, more);
		if (phase !== last)
			this.state.since = performance.now();
		Object.assign(this.state, {phase}, more);
		this.#on.change();
	}

	#opened(last) {
		const isMoved = last === 'moving';
		const again = isMoved ? ASKED : this.state.lostReason;

		this.#beatAt = isMoved ? 0 : this.#beatAt;
		this.state.lostReason = '';
		if (again) {
			this.state[isMoved ? 'moves' : 'losses']++;
			Object.assign(this.state, {lastReason: again, lastAt: new Date()});
		}
		if (isMoved)
			this.#on.note('Moved to a new connection, as the server asked', 'quiet');
		else if (!again)
			this.#on.note('Connected', 'good');
		else
			this.#on.note(this.#push.id ? 'Connected again' : 'Connected again; what was published in between is not shown', 'good');
	}

	/* The two connections did not overlap: what came in between is in neither. */
	#lostWhileMoving() {
		this.state.lostReason = TOO_LATE;
		this.#on.note(`Disconnected: ${TOO_LATE}`, 'bad');
		this.#beatAt = 0;
	}

	#lost(phase, wasOpen, why, more) {
		const words = typeof why.error === 'string' ? why.error : null;
		const reason = this.#reason(wasOpen, why);

		Object.assign(more, {reason, words, nextTryAt: performance.now() + why.wait});
		if (phase === 'waiting' && wasOpen)
			this.state.lostReason = words ?? reason;
		if (phase === 'refused')
			this.#on.note(words ?? reason, 'bad');
		else if (wasOpen)
			this.#on.note(`Disconnected: ${words ?? reason}`, 'bad');
		this.#beatAt = 0;
	}

	#reason(wasOpen, {code, status, silent}) {
		const {transport} = this.#request;

		if (silent && wasOpen)
			return `nothing heard for ${Math.round((performance.now() - this.state.heardAt) / 1000)} s`;
		if (silent)
			return transport === 'sse' ? 'no answer (browsers allow six EventSources to a server, over all tabs)' : 'no answer';
		if (status)
			return `answered with status ${status}`;
		if (!wasOpen && code !== 1008 && !(code > 4400))
			return 'cannot connect';
		return transport === 'sse' ? 'the stream ended' : CLOSES[code ?? 1006] ?? `closed with code ${code}`;
	}

	#heard(event) {
		const now = performance.now();

		this.state.heardAt = now;
		if (event === 'expiring')
			this.#on.note('The token is about to expire: type another one, then Subscribe', 'bad');
		// while moving, heartbeats come from two connections
		if (!/ping|heartbeat/.test(event) || this.state.phase === 'moving')
			return;
		if (this.#beatAt)
			this.state.beatMs = now - this.#beatAt;
		this.#beatAt = now;
		this.state.beats++;
		this.#on.beat();
	}

	#message({channel, message: value, id}, source) {
		const {transport} = this.#request;

		this.#on.message({
			channel, value, id, source, path: transport === 'ws' ? ['data', 'message'] : ['message'],
			at: performance.now(), date: new Date(), transport,
		});
	}
}
