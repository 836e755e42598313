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
const answer = (ms) => Played.answer(ms, tick);

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
		answer(150);
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

	/* What is told when the new connection reports gaps: the old one has brought c's messages, and e and f have history. */
	function gaps(answers) {
		const told = [];
		play({gap: ({channel, missed}) => told.push(`${channel} misses ${missed}`), message: ({message}) => told.push(message),
			channels: ['c', 'd', 'e', 'f', 'plain', 'quiet']});
		const [old] = Played.all;

		old.say('ping', {id: '0'});
		old.say('message', {channel: 'e', message: '0', id: '0'});
		old.say('reconnect');
		for (const id of ['1', '2'])
			old.say('message', {channel: 'c', message: id, id});
		Played.last.say('ping', {id: '0'});
		if (answers)
			answer(0);
		for (const [channel, missed] of [['c', 1], ['d', 'unknown'], ['e', 'unknown'], ['f', 7], ['plain', 'unknown'], ['quiet', 'unknown']])
			Played.last.say('gap', {channel, missed});
		for (const [channel, id] of [['c', '2'], ['c', '3'], ['d', '4'], ['plain']])
			Played.last.say('message', {channel, message: id ?? channel, id});
		if (answers)
			answer(300);
		else
			old.end();
		return told;
	}

	it('reports no gap that the old connection has filled, and none of a channel without history', () => {
		assert.deepEqual(gaps(true), ['0', '1', '2', '3', 'd misses unknown', '4', 'plain', 'e misses unknown', 'f misses 7']);
	});

	it('reports each gap if the old connection may have ended before the new one began', () => {
		assert.deepEqual(gaps(false).filter((told) => / misses /.test(told)), ['c misses 1', 'd misses unknown', 'e misses unknown',
			'f misses 7', 'plain misses unknown', 'quiet misses unknown']);
	});

	describe('without ids', () => {
		/*
		 * Arrivals are `old c x` (the old connection brings x on channel c), `new c x`, `old` ends it, `new`
		 * begins (if `late` comes first), `silence ms`, or ms in which both answer pings.
		 */
		function carry(...arrivals) {
			const got = [];
			play({message: (message) => got.push(message), channels: ['a', 'b']});
			const [old] = Played.all;

			old.say('ping');
			old.say('reconnect');
			const sockets = {old, new: Played.last};
			if (arrivals[0] !== 'late')
				sockets.new.say('ping');
			for (const arrival of arrivals) {
				const [name, channel, message] = String(arrival).split(' ');
				const ms = Number(channel);
				if (arrival === 'new')
					sockets.new.say('ping');
				else if (message)
					sockets[name].say('message', {channel, message});
				else if (sockets[name])
					sockets[name].end();
				else if (name === 'silence')
					tick(ms);
				else
					answer(arrival);
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

		it('ends after one and a half seconds that were never quiet', () => {
			const both = [100, 'old a x', 'new a x'];
			assert.equal(carry(...Array(20).fill(both).flat(), 100, 'new a y'), `${'x'.repeat(20)}y`);
		});

		it('keeps the old connection until it has answered, however long its messages take', () => {
			assert.equal(carry('silence 9000', 'old a x', 'old a y', 'new a y', 300, 'new a z'), 'xyz');
		});

		it('knows a copy until the new connection has answered, however long it takes', () => {
			assert.equal(carry('old a x', 'old a y', 'old', 'silence 50000', 'new a y', 'new a z', 300, 'new a y'), 'xyzy');
		});

		it('knows a copy on a new connection that opens when the old one has ended', () => {
			assert.equal(carry('late', 'old a x', 'old', 'silence 5000', 'new', 'new a x', 'new a y', 300, 'new a y'), 'xyy');
		});

		it('hands over equal messages as often as they were published', () => {
			assert.equal(carry('old a x', 'old a x', 'new a x', 300, 'new a x', 'new a x'), 'xxxx');
		});

		it('hands over a message that comes between the pings and the answers on the old connection', () => {
			assert.equal(carry(140, 'silence 10', 'old a x', 300, 'new a y'), 'xy');
		});

		it('hands over a message once that comes between the pings and the answers on both', () => {
			assert.equal(carry(140, 'silence 10', 'new a x', 'old a x', 300, 'new a y'), 'xy');
		});

		it('goes on after ten seconds without any answer', () => {
			assert.equal(carry('silence 10000', 'silence 150', 'old a x', 'new a y'), 'y');
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
		answer(300);
		assert.equal(push.state, 'moving');
		assert.equal(Played.all.length, 3);
	});

	it('moves again while the new connection may bring copies still', () => {
		const got = [];
		play({message: (message) => got.push(message)});
		const say = (socket, message) => socket.say('message', {channel: 'c', message});
		const [old] = Played.all;

		old.say('ping');
		old.say('reconnect');
		const {last: second} = Played;
		second.say('ping');
		say(old, 'x');
		old.end();
		second.say('reconnect');
		const {last: third} = Played;
		third.say('ping');
		say(second, 'x');
		say(second, 'y');
		say(third, 'y');
		answer(400);
		say(third, 'x');
		assert.equal(keys(got), 'xyx');
		assert.ok(second.isClosed);
	});

	/*
	 * Plays a handover in steps of 10 ms: messages are published, nodes give them to their connections up to 100 ms later,
	 * the network holds a connection up for a while, and so does the program; then its timers come first. The server
	 * closes the old connection after 4 s. Returns what was handed over, and what was published.
	 */
	function handOver(random, hasIds) {
		const got = [];
		const sent = [];
		const nodes = new Map(); // socket -> its node and network
		let now = 0;
		let stood = 0;
		let stands = 0;
		const push = play({message: ({message}) => got.push(message)});
		const every = 1 + random(30);
		const message = (i) => ({channel: 'c', message: i, ...hasIds && {id: `i${i}`}});

		const carries = (node, event, data) => {
			node.at = Math.max(node.at, now + random(20) + (random(40) ? 0 : random(1000)));
			node.arrivals.push([node.at, event, data]);
		};
		const serves = (socket) => {
			if (!nodes.has(socket))
				nodes.set(socket, {opensAt: now + (nodes.size ? random(300) : 0), lag: random(100), at: 0, news: [], arrivals: [], pongs: 0});
			const node = nodes.get(socket);
			if (!node.isOpen && now >= node.opensAt) {
				node.isOpen = true;
				carries(node, 'ping', {});
				for (let i = Number(/id=i(\d+)/.exec(socket.url)?.[1] ?? Infinity) + 1; i < sent.length; i++)
					carries(node, 'message', message(i));
			}
			for (; node.news[0]?.[0] <= now; node.news.shift())
				carries(node, 'message', node.news[0][1]);
			for (const pings = socket.sent.filter(({event}) => event === 'ping').length; node.pongs < pings; node.pongs++)
				carries(node, 'pong', {});
		};
		const publishes = () => {
			for (const node of nodes.values())
				if (node.isOpen)
					node.news.push([now + node.lag, message(sent.length)]);
			sent.push(sent.length);
		};
		const reads = (socket) => {
			const {arrivals} = nodes.get(socket);
			for (; arrivals[0]?.[0] <= now; arrivals.shift())
				arrivals[0][1] ? socket.say(...arrivals[0].slice(1)) : socket.end(1001);
		};

		for (; now < 9000; now += 10) {
			Played.all.forEach(serves);
			if (now < 7000 && !random(every))
				publishes();
			if (now === 100 || now === 4100)
				carries(nodes.get(Played.all[0]), now === 100 ? 'reconnect' : '', {});
			stands ||= random(100) ? 0 : random(50);
			stood += 10;
			if (stands && --stands)
				continue;
			tick(stood);
			stood = 0;
			Played.all.forEach(reads);
		}
		assert.ok(Played.all[0].isClosed);
		push.close();
		mock.timers.reset();
		return [got.join(), sent.join()];
	}

	for (const hasIds of [true, false])
		it(`loses and doubles nothing in 200 random handovers, ${hasIds ? 'with' : 'without'} ids`, () => {
			for (let seed = 1; seed <= 200; seed++) {
				const [got, sent] = handOver(randomFrom(seed), hasIds);
				assert.equal(got, sent, `seed ${seed}`);
			}
		});
});
