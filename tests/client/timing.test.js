/* The client library's times, with a clock that the test turns, and connections that the test plays. */
import assert from 'node:assert/strict';
import {afterEach, describe, it, mock} from 'node:test';
import {Push} from './harness/client.js';
import {Played} from './harness/played.js';

function play(options = {}) {
	mock.timers.enable({apis: ['setTimeout', 'Date']});
	Played.all.length = 0;
	return new Push('http://push.test', {channels: ['c'], transport: 'ws', WebSocket: Played, ...options});
}

afterEach(() => {
	mock.timers.reset();
	mock.restoreAll();
});

const tick = (ms) => mock.timers.tick(ms);

/* A small generator, so that a failure can be had again from its seed. */
function randomFrom(seed) {
	return (below) => {
		seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
		return Math.floor(seed / 2 ** 32 * below);
	};
}

describe('back-off', () => {
	it('doubles from half a second to half a minute, with up to half of it left to chance', () => {
		for (const chance of [0, 0.5, 0.999999]) {
			const waits = [];
			mock.method(Math, 'random', () => chance);
			const push = play({state: (state, {wait}) => state === 'waiting' && waits.push(wait)});

			for (let n = 0; n < 12; n++) {
				const opened = Played.all.length;
				Played.last.end();
				tick(waits[n] - 1);
				assert.equal(Played.all.length, opened, 'too early');
				tick(2);
				assert.equal(Played.all.length, opened + 1, 'too late');
				assert.ok(Math.abs(waits[n] - Math.min(30_000, 500 * 2 ** n) * (0.5 + chance / 2)) < 1e-6, `try ${n}: ${waits[n]}`);
			}
			push.close();
			mock.timers.reset();
			mock.restoreAll();
		}
	});

	it('begins anew behind a connection that held, and not behind one that did not', () => {
		const waits = [];
		mock.method(Math, 'random', () => 1);
		play({state: (state, {wait}) => state === 'waiting' && waits.push(wait)});

		for (const held of [0, 1000, 6000, 0]) {
			Played.last.say('ping');
			tick(held);
			Played.last.end();
			tick(waits.at(-1));
		}
		assert.deepEqual(waits, [500, 1000, 500, 1000]);
	});

	it('does not wait when told to try', () => {
		const push = play();

		Played.last.end();
		push.retry();
		assert.equal(Played.all.length, 2);
		tick(60_000 / 8);
		assert.equal(Played.all.length, 2, 'the first one\'s timer still runs');
	});
});

it('waits as long as the server asks', async (t) => {
	const waits = [];
	t.mock.method(globalThis, 'fetch', async () => new Response('{"error":"too much"}', {status: 503, headers: {'Retry-After': '7'}}));
	play({
		transport: 'sse', state: (state, why) => state === 'waiting' && waits.push(why),
		EventSource: class extends Played {
			addEventListener() {}
		},
	});

	await Played.last.onerror();
	assert.deepEqual(waits, [{status: 503, error: 'too much', wait: 7000}]);
});

describe('silence', () => {
	it('of two heartbeats and five seconds is too long, whatever the interval is', () => {
		for (const interval of [500, 10_000, 60_000]) {
			const push = play();
			const {last} = Played;

			for (let n = 0; n < 4; n++) {
				last.say('ping');
				tick(interval);
			}
			last.say('ping');
			tick(interval * 2 + 4999);
			assert.equal(push.state, 'open');
			tick(1);
			assert.equal(push.state, 'waiting');
			push.close();
			mock.timers.reset();
		}
	});

	it('is measured by the option while the interval is not known', () => {
		const push = play({heartbeat: 1000});

		Played.last.say('ping');
		tick(6999);
		assert.equal(push.state, 'open');
		tick(1);
		assert.equal(push.state, 'waiting');
	});

	it('of ten seconds ends a connection that is not open yet', () => {
		const push = play();

		tick(9999);
		assert.equal(push.state, 'connecting');
		tick(1);
		assert.equal(push.state, 'waiting');
	});
});

it('leaves no timer behind when it is closed', () => {
	const states = [];
	const push = play({state: (state) => states.push(state)});

	Played.last.say('ping');
	Played.last.say('reconnect');
	Played.last.say('ping');
	push.close();
	tick(3_600_000);
	assert.deepEqual(states, ['connecting', 'open', 'moving', 'idle']);
	assert.equal(Played.all.length, 2);
	assert.ok(Played.all.every(({isClosed}) => isClosed));
});

describe('moving', () => {
	const keys = (got) => got.map(({message}) => message).join('');

	it('keeps the old connection while the new one cannot be had, and tries again', () => {
		const got = [];
		const push = play({message: (message) => got.push(message)});
		const [old] = Played.all;

		old.say('ping');
		old.say('reconnect');
		Played.last.end();
		old.say('message', {channel: 'c', message: 1});
		assert.equal(push.state, 'moving');
		tick(1000);
		assert.equal(Played.all.length, 3);
		Played.last.say('ping');
		tick(150);
		assert.equal(push.state, 'open');
		assert.ok(old.isClosed);
		Played.last.say('message', {channel: 'c', message: 2});
		assert.equal(keys(got), '12');
	});

	it('goes on with the new connection when the old one ends, open or not', () => {
		for (const isOpen of [true, false]) {
			const got = [];
			const push = play({message: (message) => got.push(message)});
			const [old] = Played.all;

			old.say('ping', {id: 'p'});
			old.say('reconnect');
			assert.match(Played.last.url, /&last_event_id=p$/);
			if (isOpen)
				Played.last.say('ping');
			old.end(1001);
			assert.equal(push.state, isOpen ? 'open' : 'connecting');
			Played.last.say('ping');
			Played.last.say('message', {channel: 'c', message: 1});
			assert.equal(keys(got), '1');
			assert.equal(Played.all.length, 2);
			push.close();
			mock.timers.reset();
		}
	});

	it('tells of no gap that the old connection has filled, and of one that it has not', () => {
		const told = [];
		play({gap: ({channel, missed}) => told.push(`${channel} misses ${missed}`), message: ({message}) => told.push(message),
			channels: ['c', 'd', 'e']});
		const [old] = Played.all;

		old.say('ping', {id: '0'});
		old.say('reconnect');
		for (const id of ['1', '2'])
			old.say('message', {channel: 'c', message: id, id});
		Played.last.say('ping', {id: '0'});
		for (const channel of ['c', 'd', 'e'])
			Played.last.say('gap', {channel, missed: 'unknown'});
		for (const [channel, id] of [['c', '2'], ['c', '3'], ['d', '4']])
			Played.last.say('message', {channel, message: id, id});
		tick(150);
		assert.deepEqual(told, ['1', '2', '3', 'd misses unknown', '4', 'e misses unknown']);
	});

	describe('without ids', () => {
		/* Arrivals are `old c x` (the old connection brings x on channel c), `new c x`, `old` or `new` ends it, or ms. */
		function carry(...arrivals) {
			const got = [];
			play({message: (message) => got.push(message), channels: ['a', 'b']});
			const [old] = Played.all;

			old.say('ping');
			old.say('reconnect');
			const sockets = {old, new: Played.last};
			sockets.new.say('ping');
			for (const arrival of arrivals) {
				const [name, channel, message] = String(arrival).split(' ');
				if (channel)
					sockets[name].say('message', {channel, message});
				else if (sockets[name])
					sockets[name].end();
				else
					tick(arrival);
			}
			return keys(got);
		}

		it('hands over what comes on both once', () => {
			assert.equal(carry('old a x', 'old a y', 'new a y', 150, 'new a z'), 'xyz');
		});

		it('hands over what only the new connection has, when the old one is behind and ends', () => {
			assert.equal(carry('old a x', 'new a x', 'new a y', 'old', 'new a z'), 'xyz');
		});

		it('waits for what the old connection had already, when the new one is behind', () => {
			assert.equal(carry('old a x', 'old a y', 'old', 'new a x', 'new a y', 'new a z'), 'xyz');
		});

		it('hands over an equal message that comes much later', () => {
			assert.equal(carry('old a x', 'old', 60_000, 'new a x'), 'xx');
		});

		it('takes nothing for a copy that comes after a quiet moment', () => {
			assert.equal(carry('old a x', 151, 'new a x'), 'xx');
		});

		it('ends, at the latest, after one and a half seconds that were never quiet', () => {
			const both = [100, 'old a x', 'new a x'];
			assert.equal(carry(...Array(14).fill(both).flat(), 100, 'new a y'), `${'x'.repeat(14)}y`);
		});

		it('keeps channels apart', () => {
			assert.equal(carry('old a x', 'old b x', 'new b x', 150, 'new a y'), 'xxy');
		});
	});

	it('moves again when the new connection, too, is asked to reconnect before it has taken over', () => {
		const push = play();

		Played.last.say('ping');
		Played.last.say('reconnect');
		Played.last.say('ping');
		Played.last.say('reconnect');
		tick(150);
		assert.equal(push.state, 'moving');
		assert.equal(Played.all.length, 3);
	});

	/*
	 * Plays a handover: `sent` on the old connection until it is closed, on the new one from start, each up to 40 ms late.
	 * What the new one brings, its first ping too, may come later still: the old one has brought it by then.
	 */
	function handOver(random, hasIds) {
		const total = 1 + random(40);
		const start = random(total + 1);
		const sent = Array.from({length: total}, (unused, i) => ({
			channel: 'c', message: hasIds ? i : String.fromCodePoint(97 + random(3)), ...hasIds && {id: `i${i}`},
		}));
		const lag = random(2) * random(100);
		const arrivals = [];
		const got = [];
		const push = play({message: (message) => got.push(message)});
		const [old] = Played.all;

		old.say('ping');
		old.say('reconnect');
		// in order on each connection: the lag is less than what is between two
		for (const [i, message] of sent.entries()) {
			arrivals.push([i * 400 + random(40), old, message]);
			if (i >= start)
				arrivals.push([i * 400 + lag + random(40), Played.last, message]);
		}
		arrivals.push([start * 400 - 100 + lag * 2, Played.last, null]);
		let now = -100;
		for (const [at, socket, message] of arrivals.sort(([left], [right]) => left - right)) {
			tick(at - now);
			now = at;
			socket.say(message ? 'message' : 'ping', message ?? {});
		}
		tick(5000);
		push.close();
		mock.timers.reset();
		return [keys(got), sent.map(({message}) => message).join('')];
	}

	for (const hasIds of [true, false])
		it(`loses and doubles nothing in 1000 random handovers, ${hasIds ? 'with' : 'without'} ids`, () => {
			for (let seed = 1; seed <= 1000; seed++) {
				const [got, sent] = handOver(randomFrom(seed), hasIds);
				assert.equal(got, sent, `seed ${seed}`);
			}
		});
});
