/*
 * subscription.js - the life of a subscription, over as many connections as it takes.
 *
 *     idle -> connecting -> open -> moving -> open      the server asked to reconnect: the new connection is
 *                 ^           |                         open before the old one is closed (handover.js)
 *                 |           v
 *                 +------ waiting                       a loss: try again after a while (backoff.js)
 *
 *     refused: the server said no, and would say it again.  Only the user can go on from here.
 *
 * The owner reads `state`, and is told by on.change() that it is another, by on.message(message) of each message
 * once, by on.beat() of each heartbeat, and by on.note(text, kind) of what happened in between.
 */
import {subscribeUrl} from './address.js';
import {Backoff} from './backoff.js';
import {Handover} from './handover.js';
import {connect} from './transports.js';

/* A connection that says nothing for so long is given up before it is open… */
const OPEN_MS_MAX = 10_000;
/* …and after that, one that misses two heartbeats and some more. */
const SILENT_BEATS_MAX = 2;
const SILENT_MS_MIN = 5000;
const SILENT_CHECK_MS = 1000;

/* Moving: the old connection is closed when nothing has come for QUIET_MS, or after MOVE_MS_MAX. */
const QUIET_MS = 150;
const MOVE_MS_MAX = 1500;
/* For how long after that a late copy may still come. */
const SETTLE_MS = 3000;
/* While the new connection cannot be had, the old one still serves. */
const MOVE_AGAIN_MS = 1000;

/* One that held so long was a good one: the next loss starts from a short wait. */
const STABLE_MS = 5000;

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
		reconnects: 0,
		reconnectReason: '',
		reconnectedAt: null,
	};
}

export class Subscription {
	state = freshState();
	#request = null;	// {transport, channels}
	#origin;
	#on;
	#current = null;	// connections: {handle, openTimer, alive, leaving: asked to reconnect}
	#next = null;
	#handover = null;
	#backoff = new Backoff();
	#tryTimer = 0;
	#moveTimer = 0;
	#settleTimer = 0;
	#beatAt = 0;
	#messageAt = 0;
	#moveBy = 0;

	constructor(origin, on) {
		this.#origin = origin;
		this.#on = on;
		setInterval(() => this.#checkSilence(), SILENT_CHECK_MS);
	}

	start(request) {
		this.#closeAll();
		this.#request = request;
		this.#backoff.reset();
		this.state = freshState();
		this.#connect();
	}

	stop() {
		this.#closeAll();
		this.#setPhase('idle', {reason: '', words: null});
	}

	tryNow() {
		if (this.state.phase !== 'waiting' && this.state.phase !== 'refused')
			return;
		clearTimeout(this.#tryTimer);
		this.#connect();
	}

	get request() {
		return this.state.phase === 'idle' ? null : this.#request;
	}

	#setPhase(phase, more = {}) {
		if (phase !== this.state.phase)
			this.state.since = performance.now();
		Object.assign(this.state, {phase}, more);
		this.#on.change();
	}

	#open() {
		const link = {alive: false, leaving: false};

		link.openTimer = setTimeout(() => {
			link.handle.close();
			this.#ended(link, {
				reason: this.#request.transport === 'sse'
					? 'no answer (browsers allow six EventSources to a server, over all tabs)'
					: 'no answer',
				words: null, refused: false, waitMs: 0,
			});
		}, OPEN_MS_MAX);
		link.handle = connect(this.#request.transport, subscribeUrl(this.#origin, this.#request), {
			event: (name, data, source) => this.#heard(link, name, data, source),
			end: (outcome) => this.#ended(link, outcome),
		});
		return link;
	}

	#close(link) {
		if (!link)
			return;
		clearTimeout(link.openTimer);
		link.handle.close();
	}

	#closeAll() {
		for (const timer of [this.#tryTimer, this.#moveTimer, this.#settleTimer])
			clearTimeout(timer);
		this.#close(this.#current);
		this.#close(this.#next);
		this.#current = this.#next = this.#handover = null;
		this.#beatAt = 0;
	}

	#connect() {
		this.#current = this.#open();
		this.#setPhase('connecting');
	}

	/* Something came: the server is there, and has subscribed us. */
	#heard(link, name, data, source) {
		const now = performance.now();

		this.state.heardAt = now;
		if (!link.alive) {
			link.alive = true;
			clearTimeout(link.openTimer);
			if (link === this.#current)
				this.#opened();
			else
				this.#startOverlap(now);
		}
		if (name === 'message')
			this.#message(link, data, source, now);
		else if (name === 'beat')
			this.#beat(link, now);
		else if (name === 'gap')
			this.#on.note('The server lost its broker for a while: messages may be missing here', 'bad');
		else
			this.#leave(link);
	}

	#opened() {
		const again = this.state.lostReason;

		if (again)
			this.#countReconnect(again);
		this.#setPhase('open', {reason: '', words: null, lostReason: ''});
		this.#on.note(again ? 'Connected again; what was published in between is not shown' : 'Connected', 'good');
	}

	#countReconnect(reason) {
		this.state.reconnects++;
		this.state.reconnectReason = reason;
		this.state.reconnectedAt = new Date();
	}

	#beat(link, now) {
		if (link !== this.#current)
			return;
		if (this.#beatAt)
			this.state.beatMs = now - this.#beatAt;
		this.#beatAt = now;
		this.state.beats++;
		this.#on.beat();
	}

	#message(link, data, source, now) {
		const message = {
			channel: String(data?.channel), value: data?.message, key: JSON.stringify(data?.message),
			source, at: now, date: new Date(), transport: this.#request.transport,
		};

		this.#messageAt = now;
		if (link === this.#next) {
			this.#handover.hold(message);
			return;
		}
		if (this.#next)
			this.#handover.fromOld(message);
		else if (this.#handover && !this.#handover.admit(message))
			return;
		this.#on.message(message);
	}

	/* The server asked for it; even the new connection may be asked before it has taken over. */
	#leave(link) {
		link.leaving = true;
		if (link === this.#current && !this.#next)
			this.#move();
	}

	#move() {
		clearTimeout(this.#settleTimer);
		this.#handover = new Handover();
		this.#next = this.#open();
		this.#setPhase('moving');
	}

	#startOverlap(now) {
		this.#moveBy = now + MOVE_MS_MAX;
		this.#messageAt = now;
		this.#cutWhenQuiet();
	}

	/* In a quiet moment nothing is under way on either, and there is nothing to guess. */
	#cutWhenQuiet() {
		const now = performance.now();
		const quietIn = this.#messageAt + QUIET_MS - now;

		if (quietIn <= 0 || now >= this.#moveBy)
			this.#cut(quietIn <= 0);
		else
			this.#moveTimer = setTimeout(() => this.#cutWhenQuiet(), Math.min(quietIn, this.#moveBy - now));
	}

	#cut(quiet) {
		clearTimeout(this.#moveTimer);
		this.#close(this.#current);
		this.#current = this.#next;
		this.#next = null;
		this.#beatAt = 0;
		for (const message of this.#handover.cut(quiet))
			this.#on.message(message);
		this.#settleTimer = setTimeout(() => {
			this.#handover = null;
		}, SETTLE_MS);
		if (!this.#current.alive)
			return;
		this.#countReconnect('asked by the server');
		this.#setPhase('open');
		this.#on.note('Moved to a new connection, as the server asked', 'quiet');
		if (this.#current.leaving)
			this.#move();
	}

	#ended(link, outcome) {
		clearTimeout(link.openTimer);
		if (link === this.#next)
			this.#endedNext();
		else if (this.#next)
			this.#endedWhileMoving();
		else
			this.#lost(outcome);
	}

	#endedNext() {
		this.#next = this.#handover = null;
		clearTimeout(this.#moveTimer);
		this.#setPhase('open');
		this.#moveTimer = setTimeout(() => {
			if (!this.#next)
				this.#move();
		}, MOVE_AGAIN_MS * (0.5 + Math.random() / 2));
	}

	/* The old one's time was up.  If the new one is still on its way, it is the connection from now on. */
	#endedWhileMoving() {
		const arrived = this.#next.alive;

		this.#cut(false);
		if (!arrived)
			this.#setPhase('connecting', {lostReason: 'asked by the server'});
	}

	#lost({reason, words, refused, waitMs}) {
		const {alive} = this.#current;

		if (alive && performance.now() - this.state.since > STABLE_MS)
			this.#backoff.reset();
		this.#closeAll();
		if (refused) {
			this.#setPhase('refused', {reason, words});
			this.#on.note(words ?? reason, 'bad');
			return;
		}
		const wait = this.#backoff.next(waitMs);
		this.#tryTimer = setTimeout(() => this.#connect(), wait);
		this.#setPhase('waiting', {reason, words, nextTryAt: performance.now() + wait});
		if (alive) {
			this.state.lostReason = words ?? reason;
			this.#on.note(`Disconnected: ${words ?? reason}`, 'bad');
		}
	}

	/* A connection can die without a word, as when a phone changes its network. */
	#checkSilence() {
		const {phase, heardAt, beatMs} = this.state;

		if ((phase !== 'open' && phase !== 'moving') || !beatMs)
			return;
		const silentMs = performance.now() - heardAt;
		if (silentMs > SILENT_MS_MIN + beatMs * SILENT_BEATS_MAX) {
			this.#lost({
				reason: `nothing heard for ${Math.round(silentMs / 1000)} s`,
				words: null, refused: false, waitMs: 0,
			});
		}
	}
}
