/* The client library in Node, against a real server, and a network that breaks. */
import assert from 'node:assert/strict';
import {after, afterEach, before, describe, it} from 'node:test';
import {setTimeout as wait} from 'node:timers/promises';
import {Proxy} from '../browser/harness/proxy.js';
import {Server} from '../browser/harness/server.js';
import {Client, until} from './harness/client.js';

/* It asks after three seconds, and leaves time for the move. */
const SHORT_LIVED = {
	PUSH_RECONNECT_DITHER_MIN_DURATION: '23s',
	PUSH_RECONNECT_DITHER_MAX_DURATION: '23500ms',
	PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION: '20s',
};
const HISTORY = {PUSH_HISTORY_SIZE: '1000', PUSH_HISTORY_RULES: 'plain:=0 last:=1'};

let server, shortLived, proxy;
const clients = [];

before(async () => {
	[server, shortLived] = await Promise.all([Server.start(HISTORY), Server.start({...HISTORY, ...SHORT_LIVED})]);
	proxy = await Proxy.start(server);
});
after(async () => {
	proxy?.stop();
	await Promise.all([server?.stop(), shortLived?.stop()]);
});
afterEach(() => {
	for (const client of clients.splice(0))
		client.close();
	proxy.refuses = null;
	proxy.release();
});

async function open(origin, options) {
	const client = new Client(origin, options);

	clients.push(client);
	if (client.push.state === 'connecting')
		await client.reaches('open');
	return client;
}

let rooms = 0;
const room = (kind = 'room') => `${kind}:${++rooms}`;

/* Publishes numbers, on each channel its own, until `isDone`; returns how many on each. */
async function publishUntil(server, channels, isDone) {
	let count = 0;

	for (; !isDone(); count++) {
		await Promise.all(channels.map((channel) => server.publish(channel, count)));
		// often enough to be under way in every moment that counts
		await wait(count % 20 ? 5 : 0);
	}
	return count;
}

const movesOf = ({states}) => states.filter((state) => state === 'moving').length;
const numbers = (count) => Array.from({length: count}, (unused, n) => n);

for (const transport of ['ws', 'sse']) {
	describe(`by ${transport}`, () => {
		it('moves when the server asks, again and again, and no message is lost or doubled, with history or without', async () => {
			const channels = [room(), room('plain'), room('last')];
			const client = await open(shortLived.origin, {channels: [...channels, room('plain')], transport});
			const count = await publishUntil(shortLived, channels, () => movesOf(client) >= 2);

			for (const channel of channels)
				await client.receives(channel, numbers(count));
			assert.ok(!client.states.includes('waiting'), client.states.join());
			assert.deepEqual(client.gaps, []);
			assert.deepEqual(client.resumes, []);
		});

		it('comes back after a cut connection, and receives what it missed', async () => {
			const channel = room();
			const client = await open(proxy.origin, {channels: [channel], transport});

			await server.publish(channel, 0);
			await client.receives(channel, [0]);
			proxy.cut();
			await client.reaches('waiting');
			await server.publish(channel, 1);
			await client.reaches('open');
			await server.publish(channel, 2);
			await client.receives(channel, [0, 1, 2]);
			assert.deepEqual(client.resumes, [{replayed: 1}]);
			assert.deepEqual(client.gaps, []);
		});

		it('loses and doubles nothing while the network is cut all the time', async () => {
			const channel = room();
			const client = await open(proxy.origin, {channels: [channel], transport});
			let cuts = 0;
			const cutter = setInterval(() => {
				if (client.push.state === 'open') {
					proxy.cut();
					cuts++;
				}
			}, 150);
			const count = await publishUntil(server, [channel], () => cuts >= 5);

			clearInterval(cutter);
			await client.receives(channel, numbers(count));
			assert.deepEqual(client.gaps, []);
		});

		it('resumes before it has received anything', async () => {
			const channel = room();
			const client = await open(proxy.origin, {channels: [channel], transport});

			proxy.cut();
			await server.publish(channel, 0);
			await client.receives(channel, [0]);
		});

		it('says how many messages are missing', async () => {
			const channel = room('last');
			const client = await open(proxy.origin, {channels: [channel], transport});

			proxy.cut();
			await client.reaches('waiting');
			for (const n of numbers(4))
				await server.publish(channel, n);
			await client.receives(channel, [3]);
			assert.deepEqual(client.gaps, [{channel, missed: 3}]);
			assert.deepEqual(client.resumes, []);
		});

		it('goes on from an id that was kept', async () => {
			const channel = room();
			const first = await open(server.origin, {channels: [channel], transport});

			await server.publish(channel, 0);
			await first.receives(channel, [0]);
			first.close();
			await server.publish(channel, 1);
			const second = await open(server.origin, {channels: [channel], transport, id: first.push.id});
			await second.receives(channel, [1]);
		});

		it('says that messages may be missing when the server was started anew', async () => {
			const own = await Server.start(HISTORY);

			try {
				const channel = room();
				const client = await open(own.origin, {channels: [channel], transport});
				await own.publish(channel, 'before');
				await client.receives(channel, ['before']);
				await own.kill();
				await client.reaches('waiting');
				await own.start();
				await client.reaches('open');
				await until(() => client.gaps.length);
				assert.deepEqual(client.gaps, [{channel, missed: 'unknown'}]);
				await own.publish(channel, 'after');
				await client.receives(channel, ['before', 'after']);
				client.close();
			} finally {
				await own.stop();
			}
		});

		it('gives up a connection that is silent, and comes back', async () => {
			const channel = room();
			const client = await open(proxy.origin, {channels: [channel], transport});

			await until(() => client.heard.filter((event) => /ping|heartbeat/.test(event)).length > 1);
			proxy.hold();
			await server.publish(channel, 0);
			await client.reaches('waiting', 9000);
			assert.equal(client.whys.at(-1).silent, true);
			proxy.release();
			await client.receives(channel, [0]);
		});

		it('is refused once, with the server\'s words, and tries again when told to', async () => {
			const {error} = await (await fetch(`${server.origin}/sse/messages?channels=a,,b`)).json();
			const client = new Client(server.origin, {channels: ['a', '', 'b'], transport});

			clients.push(client);
			await client.reaches('refused');
			assert.equal(client.whys.at(-1).error, error);
			client.push.retry();
			assert.equal(client.push.state, 'connecting');
			await client.reaches('refused');
		});

		it('closes, leaves no subscriber behind, and goes on where it was when it subscribes again', async () => {
			const channel = room();
			const client = await open(server.origin, {channels: [channel], transport});
			let n = 0;

			assert.equal((await server.publish(channel, n++)).body.subscribers, 1);
			await client.receives(channel, [0]);
			client.push.close();
			assert.equal(client.push.state, 'idle');
			while ((await server.publish(channel, n++)).body.subscribers)
				await wait(10);
			await client.receives(channel, [0]);
			client.push.subscribe([channel]);
			await client.reaches('open');
			await server.publish(channel, n++);
			await client.receives(channel, numbers(n));
		});

		it('is not stopped by events that make no sense', async () => {
			const channel = room();
			const client = await open(server.origin, {channels: [channel], transport, isNoisy: true});

			await server.publish(channel, 0);
			await server.publish(channel, 1);
			await client.receives(channel, [0, 1]);
			assert.deepEqual(client.states, ['connecting', 'open']);
		});
	});
}

describe('a move', () => {
	let plain, client, moving;

	/* Its connections go through a proxy; `before` is called before the new one is opened. */
	async function move(before) {
		moving = await Proxy.start(shortLived);
		plain = room('plain');
		client = await open(moving.origin, {channels: [plain], transport: 'ws'});
		client.push.on('state', (state) => state === 'moving' && movesOf(client) === 1 && before());
		await client.reaches('moving');
		while ((await shortLived.publish(plain, 'probe')).body.subscribers < 2)
			await wait(5);
	}

	afterEach(() => moving.stop());

	it('waits for what the old connection brings late', async () => {
		await move(() => moving.hold(0));
		await wait(500);
		moving.release();
		await shortLived.publish(plain, 'last');
		await until(() => client.of(plain).includes('last'));
		const {length} = client.of(plain);
		assert.ok(length > 1); // the first probe, which only the old connection can bring, came late
		assert.deepEqual(client.of(plain), [...Array(length - 1).fill('probe'), 'last']);
	});

	it('knows the copies that the new connection brings late', async () => {
		await move(() => {});
		moving.hold(1);
		for (const n of numbers(5))
			await shortLived.publish(plain, n);
		await until(() => client.of(plain).includes(4));
		await wait(3500); // more than any time for which copies could be remembered
		moving.release();
		await client.reaches('open');
		await shortLived.publish(plain, 'last');
		await until(() => client.of(plain).includes('last'));
		assert.deepEqual(client.of(plain).filter((message) => message !== 'probe'), [...numbers(5), 'last']);
	});
});

describe('the transport', () => {
	it('is EventSource where no WebSocket gets through, at once the next time, and a WebSocket again later', async (t) => {
		const channel = room();

		proxy.requests.length = 0;
		proxy.refuses = /^upgrade: *websocket/im;
		const client = await open(proxy.origin, {channels: [channel]});
		assert.equal(client.push.transport, 'sse');
		await server.publish(channel, 0);
		await client.receives(channel, [0]);
		assert.equal(proxy.requests.filter((line) => line.startsWith('GET /ws/')).length, 2);
		proxy.refuses = null;
		const second = await open(proxy.origin, {channels: [channel]});
		assert.equal(second.push.transport, 'sse');
		assert.deepEqual(second.states, ['connecting', 'open']);
		const {now} = Date;
		t.mock.method(Date, 'now', () => now() + 11 * 60_000);
		const third = await open(proxy.origin, {channels: [channel]});
		assert.equal(third.push.transport, 'ws');
	});

	it('stays a WebSocket while a server is away that had one', async () => {
		const own = await Proxy.start(server);
		const client = await open(own.origin, {channels: [room()]});

		own.refuses = /./;
		own.cut();
		await until(() => client.states.filter((state) => state === 'waiting').length > 3);
		own.refuses = null;
		await client.reaches('open');
		assert.equal(client.push.transport, 'ws');
		assert.ok(!own.requests.some((line) => line.startsWith('GET /sse/')));
		client.close();
		own.stop();
	});

	it('is EventSource where there is no WebSocket at all', async () => {
		const client = await open(server.origin, {channels: [room()], WebSocket: null});

		assert.equal(client.push.transport, 'sse');
	});
});

describe('channels that are changed while it is open', () => {
	it('by WebSocket: are added and removed on the connection that there is', async () => {
		const [kept, added, removed] = [room(), room(), room()];
		const client = await open(server.origin, {channels: [kept, removed], transport: 'ws'});

		client.push.subscribe([added]);
		client.push.unsubscribe([removed]);
		await until(() => client.heard.includes('subscribed') && client.heard.includes('unsubscribed'));
		for (const channel of [kept, added, removed])
			await server.publish(channel, 0);
		await client.receives(kept, [0]);
		await client.receives(added, [0]);
		await client.receives(removed, []);
		assert.deepEqual(client.states, ['connecting', 'open']);
	});

	it('by WebSocket: are the same behind a cut, and nothing is lost on any of them', async () => {
		const [first, second] = [room(), room()];
		const client = await open(proxy.origin, {channels: [first], transport: 'ws'});

		client.push.subscribe([second]);
		await until(() => client.heard.includes('subscribed'));
		await server.publish(second, 0);
		await client.receives(second, [0]);
		proxy.cut();
		await client.reaches('waiting');
		await server.publish(first, 0);
		await server.publish(second, 1);
		await client.receives(first, [0]);
		await client.receives(second, [0, 1]);
		assert.deepEqual(client.gaps, []);
	});

	it('that the server refuses are told, and not asked for again', async () => {
		const channel = room();
		const client = await open(proxy.origin, {channels: [channel], transport: 'ws'});

		client.push.subscribe(['x'.repeat(300)]);
		await until(() => client.errors.length);
		assert.equal(client.errors[0].channel, 'x'.repeat(300));
		proxy.cut();
		await client.reaches('waiting');
		await client.reaches('open');
		await server.publish(channel, 0);
		await client.receives(channel, [0]);
	});

	for (const transport of ['ws', 'sse'])
		it(`by ${transport}: at any moment, also while it moves`, async () => {
			const kept = room();
			const others = Array.from({length: 8}, () => room());
			const client = await open(shortLived.origin, {channels: [kept], transport});
			let isDone = false;
			const published = publishUntil(shortLived, [kept], () => isDone);

			for (let n = 0; n < 24; n++) {
				client.push[n < 16 && n % 3 === 2 ? 'unsubscribe' : 'subscribe']([others[n % 8]]);
				await wait(100);
			}
			await until(() => client.push.state === 'open');
			for (const channel of others) {
				while ((await shortLived.publish(channel, 'probe')).body.subscribers !== 1)
					await wait(20);
				await shortLived.publish(channel, 'heard');
			}
			isDone = true;
			await client.receives(kept, numbers(await published));
			for (const channel of others)
				await until(() => client.of(channel).at(-1) === 'heard');
			assert.deepEqual(client.gaps, []);
			assert.deepEqual(client.errors, []);
		});

	it('by EventSource: are added and removed without a loss on those that stay', async () => {
		const [kept, added, removed] = [room(), room(), room()];
		const client = await open(server.origin, {channels: [kept, removed], transport: 'sse'});
		let isDone = false;
		const published = publishUntil(server, [kept], () => isDone);

		client.push.subscribe([added]);
		client.push.unsubscribe([removed]);
		await until(() => client.states.filter((state) => state === 'open').length === 2);
		await server.publish(removed, 'unheard');
		await server.publish(added, 'heard');
		await client.receives(added, ['heard']);
		isDone = true;
		await client.receives(kept, numbers(await published));
		await client.receives(removed, []);
		assert.deepEqual(client.gaps, []);
	});
});

describe('publish', () => {
	it('says how many subscribers there were, and throws the server\'s words', async () => {
		const channel = room();
		const client = await open(server.origin, {channels: [channel]});

		assert.deepEqual(await client.push.publish(channel, {a: [1, null]}), {subscribers: 1});
		await client.receives(channel, [{a: [1, null]}]);
		const {status, body} = await server.publish('', 'x');
		await assert.rejects(client.push.publish('', 'x'), {status, message: body.error});
	});
});

describe('acknowledgements', () => {
	const NAMED = () => ({acks: true, client: `client-${++rooms}`, transport: 'ws'});

	it('a client with a name goes on behind what its handlers have done, at another time', async () => {
		const [channel, options] = [room(), NAMED()];
		const first = await open(proxy.origin, {channels: [channel], ...options});

		for (const n of numbers(3))
			await server.publish(channel, n);
		await first.receives(channel, numbers(3));
		await wait(100);
		first.close();
		await server.publish(channel, 3);
		const second = await open(server.origin, {channels: [channel], ...options});
		await second.receives(channel, [3]);
	});

	it('covers nothing that a handler still works on', async () => {
		const [channel, options] = [room(), NAMED()];
		const got = [];
		let finish;
		const first = await open(server.origin, {
			channels: [channel], ...options,
			message: ({message}) => {
				got.push(message);
				return message === 1 ? new Promise((resolve) => { finish = resolve; }) : undefined;
			},
		});

		for (const n of numbers(3))
			await server.publish(channel, n);
		await until(() => got.length === 3);
		await wait(100);
		first.close();
		const second = await open(server.origin, {channels: [channel], ...options});
		await second.receives(channel, [1, 2]);
		finish();
	});

	it('are few for many messages, and keep the server sending', async () => {
		const channel = room();
		const client = await open(server.origin, {channels: [channel], acks: true, transport: 'ws'});
		const count = 600;	// more than twice push.ack.window
		const lanes = Array.from({length: 8}, async (unused, lane) => {
			for (let n = lane; n < count; n += 8)
				await server.publish(channel, n);
		});

		await Promise.all(lanes);
		await until(() => client.of(channel).length >= count);
		assert.deepEqual([...client.of(channel)].sort((a, b) => a - b), numbers(count));
		assert.deepEqual(client.errors, []);
	});

	it('what is sent again is handed over once', async () => {
		const own = await Server.start({...HISTORY, PUSH_ACK_TIMEOUT: '300ms'});

		try {
			const channel = room();
			const got = [];
			const client = await open(own.origin, {
				channels: [channel], acks: true, transport: 'ws',
				message: async ({message}) => {
					got.push(message);
					await wait(500);
				},
			});
			await own.publish(channel, 0);
			await until(() => client.heard.filter((event) => event === 'message').length === 2);
			await wait(700);
			assert.deepEqual(got, [0]);
			assert.equal(client.push.state, 'open');
			client.close();
		} finally {
			await own.stop();
		}
	});

	it('say when the server does not know the name: it is new, or was forgotten', async () => {
		const channel = room();
		const named = NAMED();
		const client = await open(server.origin, {channels: [channel], ...named});

		await until(() => client.unknown);
		assert.equal(client.unknown, 1);
		await server.publish(channel, 0);
		await client.receives(channel, [0]);
		await until(() => client.heard.includes('message'));
		await wait(200); // its ack is on its way
		client.close();
		const again = await open(server.origin, {channels: [channel], ...named});
		await until(() => again.resumes.length);
		assert.equal(again.unknown, 0);
	});

	it('move along to a new connection', async () => {
		const channel = room();
		const client = await open(shortLived.origin, {channels: [channel], ...NAMED()});
		const count = await publishUntil(shortLived, [channel], () => movesOf(client) >= 2);

		await client.receives(channel, numbers(count));
		assert.deepEqual(client.errors, []);
		assert.deepEqual(client.gaps, []);
		assert.ok(!client.states.includes('waiting'), client.states.join());
	});
});
