/* A page over HTTP/2: what many tabs open is one connection, which is moved to another worker without an error. */
import assert from 'node:assert/strict';
import {after, before, it} from 'node:test';
import {launch} from './harness/browser.js';
import {Redis} from './harness/redis.js';
import {Server} from './harness/server.js';

const STREAMS = 100;

let redis, server, browser, page;
const errors = [];

before(async () => {
	redis = await Redis.start();
	server = await Server.start({PUSH_REDIS_URL: redis.url, PUSH_HISTORY_SIZE: '1000', PUSH_DRAIN_DURATION: '1s'}, {hasTls: true});
	browser = await launch();
	page = await (await browser.newContext({ignoreHTTPSErrors: true})).newPage();
	page.on('console', (message) => {
		if (message.type() === 'error')
			errors.push(message.text());
	});
	await page.goto(`${server.secureOrigin}/push.js`);
});
after(async () => {
	await browser?.close();
	await server?.stop();
	redis?.stop();
});

async function publish(first, last) {
	for (let n = first; n <= last; n++)
		assert.equal((await server.publish('tabs', n)).status, 202);
}

/* Until each stream has so many messages: all of them, in order. */
async function allHave(count) {
	await page.waitForFunction((count) => window.streams.every(({got}) => got.length >= count), count);
	const wanted = Array.from({length: count}, (_, n) => n + 1);

	assert.deepEqual(await page.evaluate((wanted) => window.streams.filter(({got}) => String(got) !== wanted).length,
		String(wanted)), 0);
}

it('a hundred EventSources are streams of the connection that has brought the page', async () => {
	assert.equal(await page.evaluate(() => performance.getEntriesByType('navigation')[0].nextHopProtocol), 'h2');
	const before = await server.metric('push_direct_connections'); // that, and the one that has waited for the server

	await page.evaluate((count) => {
		window.streams = Array.from({length: count}, () => {
			const stream = {got: [], source: new EventSource('/sse/messages?channels=tabs'), opened: 0};

			stream.source.onopen = () => stream.opened++;
			stream.source.addEventListener('message', ({data}) => stream.got.push(JSON.parse(data).message));
			return stream;
		});
	}, STREAMS);
	await page.waitForFunction(() => window.streams.every(({opened}) => opened === 1));
	assert.ok(await server.metric('push_direct_connections') <= before);
	await publish(1, 3);
	await allHave(3);
});

it('a WebSocket is one more stream of it', async () => {
	const before = await server.metric('push_direct_connections'); // the publisher's, too

	await page.evaluate(() => new Promise((resolve) => {
		window.socket = new WebSocket(`wss://${location.host}/ws/messages?channels=tabs`);
		window.heard = [];
		window.socket.onmessage = ({data}) => {
			window.heard.push(JSON.parse(data));
			resolve();
		};
	}));
	await publish(4, 4);
	await page.waitForFunction(() => window.heard.some(({event, data}) => event === 'message' && data.message === 4));
	assert.equal(await server.metric('push_direct_connections'), before);
	await page.evaluate(() => new Promise((resolve) => {
		window.socket.onclose = resolve;
		window.socket.close();
	}));
	await allHave(4);
});

it('when a worker makes place for another they move to it, miss nothing, and meet no error', async () => {
	errors.length = 0; // it has asked for an icon
	server.reload();
	let count = 4;

	for (const moved = page.waitForFunction(() => window.streams.every(({opened}) => opened === 2)).then(() => true); ;) {
		await publish(count + 1, ++count);
		if (await Promise.race([moved, new Promise((resolve) => {
			setTimeout(resolve, 20);
		})]))
			break;
	}
	await publish(count + 1, ++count);
	await allHave(count);
	assert.deepEqual(errors, []);
	assert.equal(await page.evaluate(() => window.streams.filter(({source}) => source.readyState !== EventSource.OPEN).length), 0);
});
