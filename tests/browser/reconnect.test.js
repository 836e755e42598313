/* The console when connections end: because the server asks, because it is gone, because it is silent. */
import assert from 'node:assert/strict';
import {after, afterEach, before, describe, it} from 'node:test';
import {setTimeout as wait} from 'node:timers/promises';
import {Console, launch} from './harness/browser.js';
import {Redis} from './harness/redis.js';
import {Server} from './harness/server.js';

const NAMES = {ws: 'WebSocket', sse: 'EventSource'};

let server, browser, console_;

before(async () => {
	browser = await launch();
});
after(() => browser?.close());
afterEach(async () => {
	const faults = console_?.faults ?? [];

	await console_?.close();
	await server?.stop();
	console_ = server = null;
	assert.deepEqual(faults, [], 'scripts of the page failed');
});

async function open(options, serverOptions) {
	server = await Server.start(serverOptions);
	console_ = await Console.open(browser, server, options);
	await console_.state('Connected');
	return console_;
}

/* Publishes numbers on two channels without a pause until `done` is settled; returns what was published. */
async function publishUntil(done) {
	const published = [];
	let going = true;

	done.finally(() => {
		going = false;
	});
	for (let n = 0; going; n++) {
		const content = `${n % 2 ? 'odd' : 'even'} ${n}`;
		await server.publish(n % 2 ? 'odd' : 'even', content);
		published.push(content);
		// often enough to be under way in every moment that counts
		await wait(n % 50 ? 10 : 0);
	}
	await done;
	return published;
}

for (const transport of ['ws', 'sse']) {
	describe(`by ${NAMES[transport]}`, () => {
		it('a reconnect event leads to a new connection, and no message is lost or doubled', async () => {
			const console = await open({transport, channels: ['even', 'odd']}, {
				PUSH_RECONNECT_DITHER_MIN_DURATION: '2s',
				PUSH_RECONNECT_DITHER_MAX_DURATION: '2500ms',
				PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION: '1s',
			});
			const published = await publishUntil(console.figure('Reconnects', '2'));
			await server.publish('even', 'even last');
			await console.row('even last').waitFor();
			await console.page.getByText('Moved to a new connection, as the server asked').first().waitFor();
			await console.page.getByText(/^[1-9] moved, 0 lost$/).waitFor();
			assert.equal(await console.page.getByText(/^Disconnected/).count(), 0);
			const shown = await console.contents();
			for (const channel of ['even', 'odd']) {
				const of = (list) => list.filter((content) => content.startsWith(channel) && !content.endsWith('last'));
				assert.deepEqual(of(shown), of(published));
			}
		});

		it('a gap is told in the list, and the connection stays', async () => {
			const redis = await Redis.start();

			try {
				const console = await open({transport, channels: ['gaps']}, {PUSH_REDIS_URL: redis.url});
				redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
				await console.page.getByText('messages may be missing here').first().waitFor();
				redis.command('PUBLISH', 'gaps', 'after the gap');
				await console.row('after the gap').waitFor();
				assert.equal(await console.page.getByText(/^Disconnected/).count(), 0);
				await server.stop();
			} finally {
				redis.stop();
			}
		});

		it('equal messages, too, are neither lost nor doubled by a reconnect event', async () => {
			const console = await open({transport, channels: ['tick']}, {
				PUSH_RECONNECT_DITHER_MIN_DURATION: '3s',
				PUSH_RECONNECT_DITHER_MAX_DURATION: '3100ms',
				PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION: '1s',
			});
			const moved = console.figure('Reconnects', '1');
			let going = true;
			let published = 0;

			moved.finally(() => {
				going = false;
			});
			for (; going; published++) {
				await server.publish('tick', 'tick');
				// quiet in between for longer than the 150 ms that tell copies apart, also on a busy machine
				await wait(400);
			}
			await moved;
			await server.publish('tick', 'last');
			await console.row('last').waitFor();
			assert.equal((await console.contents()).filter((content) => content === 'tick').length, published);
		});

		it('a server that crashes and comes back is found again', async () => {
			const console = await open({transport});

			await server.publish('demo', 'before');
			await console.row('before').waitFor();
			await server.kill();
			await console.state('Reconnecting');
			await console.page.getByText(/^Trying again in \d+ s$/).waitFor();
			await server.start();
			await console.state('Connected');
			await console.figure('Reconnects', '1');
			await console.page.getByText('0 moved, 1 lost', {exact: true}).waitFor();
			await console.page.getByText('Connected again; what was published in between is not shown').waitFor();
			await console.publish('after');
			await console.row('after').waitFor();
			assert.deepEqual(await console.contents(), ['before', 'after']);
		});

		it('a server that is stopped as it should be and started again is found again', async () => {
			const console = await open({transport});

			await server.terminate();
			await console.state('Reconnecting');
			await server.start();
			await console.state('Connected');
			await server.publish('demo', 'after');
			await console.row('after').waitFor();
		});

		it('a server that hangs is given up, and found again when it is back', async () => {
			const console = await open({transport});

			await console.page.getByText(/^[2-9] beats, every /).waitFor();
			server.signal('SIGSTOP');
			await console.page.getByText(/^Disconnected: nothing heard for \d+ s$/).waitFor();
			server.signal('SIGCONT');
			await console.state('Connected');
			await server.publish('demo', 'after');
			await console.row('after').waitFor();
		});
	});
}

describe('while it is reconnecting', () => {
	it('"Try now" does not wait', async () => {
		const console = await open();

		await server.kill();
		// by then the waits are long
		await console.page.getByText(/^Trying again in ([3-9]|\d\d) s$/).waitFor();
		await server.start();
		await console.page.getByRole('button', {name: 'Try now'}).click();
		await console.state('Connected');
	});

	it('says that a message could not be published', async () => {
		const console = await open();

		await server.kill();
		await console.state('Reconnecting');
		await console.publish('into the void');
		await console.answer('Not published');
		await console.answer('cannot reach the server');
	});
});
