/* The client library, mounts/push.js, in a page that a real Push serves. Its times and odd cases are tests/client's. */
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {after, afterEach, before, beforeEach, describe, it} from 'node:test';
import {setTimeout as wait} from 'node:timers/promises';
import {launch} from './harness/browser.js';
import {Proxy} from './harness/proxy.js';
import {Server} from './harness/server.js';

const OPTIONS = {
	PUSH_HISTORY_SIZE: '1000',
	PUSH_HISTORY_RULES: 'plain:=0 last:=1',
	PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION: '1s',
	PUSH_RECONNECT_DITHER_MIN_DURATION: '1h',
	PUSH_RECONNECT_DITHER_MAX_DURATION: '1h',
};
const SHORT_LIVED = {PUSH_RECONNECT_DITHER_MIN_DURATION: '2s', PUSH_RECONNECT_DITHER_MAX_DURATION: '2500ms'};

let server, proxy, browser, page;

before(async () => {
	browser = await launch();
	server = await Server.start(OPTIONS);
	proxy = await Proxy.start(server);
});
after(async () => {
	await browser?.close();
	proxy?.stop();
	await server?.stop();
});
beforeEach(async () => {
	page = await browser.newPage();
});
afterEach(async () => {
	await page.close();
	proxy.refuses = null;
	proxy.release();
});

/* Opens a subscription in the page; what it tells is kept in `heard`: {state: [...], message: [...], gap: [...] ...}. */
async function open(origin, options) {
	await page.goto(`${origin}/favicon.svg`);
	await page.evaluate(async (more) => {
		const {Push} = await import('/push.js');
		const heard = window.heard = {state: [], message: [], gap: [], resumed: [], error: []};
		const handlers = Object.fromEntries(Object.keys(heard).map((name) => [name, (data) => {
			heard[name].push(data);
			if (data.message === 'fail')
				throw new Error('this handler fails');
		}]));
		window.failures = [];
		addEventListener('unhandledrejection', ({reason}) => window.failures.push(reason.message));
		window.push = new Push(location.origin, {...handlers, ...more});
	}, options);
	await reaches('open');
}

const reaches = (state) => page.waitForFunction((wanted) => window.push.state === wanted, state);
const heard = (name) => page.evaluate((key) => window.heard[key], name);
const got = async (channel) => (await heard('message')).filter((message) => message.channel === channel)
	.map(({message}) => message);

async function receives(channel, wanted) {
	await page.waitForFunction(([name, count]) =>
		window.heard.message.filter((message) => message.channel === name).length >= count, [channel, wanted.length]).catch(() => {});
	assert.deepEqual(await got(channel), wanted);
}

async function publishUntil(server, channels, done) {
	let going = true;
	let count = 0;

	done.finally(() => {
		going = false;
	});
	for (; going; count++) {
		await Promise.all(channels.map((channel) => server.publish(channel, count)));
		await wait(count % 20 ? 5 : 0);
	}
	await done;
	return count;
}

/* Publishes until the channel has so many subscribers: what a client says takes a moment to get there. */
async function subscribersOf(channel, count, message) {
	for (const end = Date.now() + 15_000; (await server.publish(channel, message)).body.subscribers !== count; await wait(10))
		assert.ok(Date.now() < end, `${channel} does not have ${count} subscribers`);
}

const numbers = (count) => Array.from({length: count}, (unused, n) => n);
let rooms = 0;
const room = (kind = 'room') => `${kind}:${++rooms}`;

for (const transport of ['ws', 'sse']) {
	describe(`by ${transport}`, () => {
		it('moves when the server asks, and no message is lost or doubled, with history or without', async () => {
			const shortLived = await Server.start({...OPTIONS, ...SHORT_LIVED});

			try {
				const channels = [room(), room('plain'), room('last')];
				await open(shortLived.origin, {channels, transport});
				const count = await publishUntil(shortLived, channels,
					page.waitForFunction(() => window.heard.state.filter((state) => state === 'moving').length >= 2));
				for (const channel of channels)
					await receives(channel, numbers(count));
				assert.ok(!(await heard('state')).includes('waiting'));
				assert.deepEqual(await heard('gap'), []);
			} finally {
				await shortLived.stop();
			}
		});

		it('comes back after a cut connection, and receives what it missed', async () => {
			const channel = room();

			await open(proxy.origin, {channels: [channel], transport});
			await server.publish(channel, 0);
			await receives(channel, [0]);
			proxy.cut();
			await reaches('waiting');
			await server.publish(channel, 1);
			await reaches('open');
			await server.publish(channel, 2);
			await receives(channel, [0, 1, 2]);
			assert.deepEqual(await heard('resumed'), [{replayed: 1}]);
		});

		it('says that messages may be missing when the server was started anew', async () => {
			const channel = room();

			await open(server.origin, {channels: [channel], transport});
			await server.kill();
			await reaches('waiting');
			await server.start();
			await reaches('open');
			await page.waitForFunction(() => window.heard.gap.length > 0);
			assert.deepEqual(await heard('gap'), [{channel, missed: 'unknown'}]);
		});

		it('changes its channels while it is open', async () => {
			const [kept, added, removed] = [room(), room(), room()];

			await open(server.origin, {channels: [kept, removed], transport});
			await page.evaluate(([more, fewer]) => {
				window.push.subscribe([more]);
				window.push.unsubscribe([fewer]);
			}, [added, removed]);
			await subscribersOf(removed, 0, 'unheard');
			await subscribersOf(added, 1, 'heard');
			await server.publish(kept, 'still here');
			await receives(kept, ['still here']);
			await page.waitForFunction(() => window.heard.message.some(({message}) => message === 'heard'));
			assert.deepEqual(await got(removed), []);
			assert.deepEqual(await heard('gap'), []);
		});

		it('is refused with the server\'s words', async () => {
			const {error} = await (await fetch(`${server.origin}/sse/messages?channels=a,,b`)).json();

			await open(server.origin, {channels: [room()], transport});
			const why = await page.evaluate(async (name) => {
				const {Push} = await import('/push.js');
				return new Promise((resolve) => {
					new Push(location.origin, {
						channels: ['a', '', 'b'], transport: name,
						state: (state, reason) => state === 'refused' && resolve(reason),
					});
				});
			}, transport);
			assert.equal(why.error, error);
		});

		it('closes, and leaves no subscriber behind', async () => {
			const channel = room();

			await open(server.origin, {channels: [channel], transport});
			await page.evaluate(() => window.push.close());
			await subscribersOf(channel, 0, 'unheard');
			assert.deepEqual((await heard('state')).at(-1), 'idle');
		});

		it('reports an error in a handler, and goes on', async () => {
			const channel = room();

			await open(server.origin, {channels: [channel], transport});
			await server.publish(channel, 'fail');
			await server.publish(channel, 'next');
			await receives(channel, ['fail', 'next']);
			assert.deepEqual(await page.evaluate(() => window.failures), ['this handler fails']);
		});
	});
}

it('takes EventSource where no WebSocket gets through', async () => {
	const channel = room();

	proxy.refuses = /^upgrade: *websocket/im;
	await open(proxy.origin, {channels: [channel]});
	assert.equal(await page.evaluate(() => window.push.transport), 'sse');
	await server.publish(channel, 0);
	await receives(channel, [0]);
});

it('acknowledges, and goes on behind that in another page', async () => {
	const options = {channels: [room()], client: 'page-7'};

	await open(server.origin, options);
	await server.publish(options.channels[0], 0);
	await receives(options.channels[0], [0]);
	await page.evaluate(() => window.push.close());
	await server.publish(options.channels[0], 1);
	await open(server.origin, options);
	await receives(options.channels[0], [1]);
});

it('publishes, and a repeat with the same key once', async () => {
	const channel = room();

	await open(server.origin, {channels: [channel]});
	assert.deepEqual(await page.evaluate(async (name) => [
		await window.push.publish(name, {n: 1}, {key: 'once', ttl: '30s'}),
		await window.push.publish(name, {n: 1}, {key: 'once', ttl: '30s'}),
	], channel), [{subscribers: 1}, {subscribers: 1}]);
	await server.publish(channel, 'next');
	await receives(channel, [{n: 1}, 'next']);
});

/* Runs the example of a page of the documentation; returns what it writes to the console. */
async function run(path) {
	const text = readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
	const [, example] = /<!-- run by: tests\/browser -->\n```js\n([^]*?)```/.exec(text);
	const lines = [];

	page.on('console', (message) => lines.push(message.text()));
	await page.goto(`${server.origin}/favicon.svg`);
	await page.evaluate((source) => import(URL.createObjectURL(new Blob([source.replace('/push.js', `${location.origin}/push.js`)
		.replace('http://localhost:8080', location.origin)], {type: 'text/javascript'}))), example);
	return lines;
}

it('the example of docs/javascript.md works as it is', async () => {
	const lines = await run('docs/javascript.md');

	for (let n = 0; n < 200 && !lines.some((line) => line.endsWith('{hello: world}')); n++) {
		await page.evaluate(() => dispatchEvent(new Event('click')));
		await wait(50);
	}
	assert.ok(lines.includes('open') && lines.some((line) => line.endsWith('{hello: world}')), lines.join('\n'));
});

it('the web page of README.md shows a message', async () => {
	const lines = await run('README.md');

	for (let n = 0; n < 200 && !lines.includes('hello'); n++) {
		await server.publish('news', 'hello');
		await wait(50);
	}
	assert.ok(lines.includes('hello'), lines.join('\n'));
});
