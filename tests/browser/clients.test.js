/* Pages that are no console: a script of someone's own, on another origin, with nothing but what browsers have. */
import assert from 'node:assert/strict';
import {once} from 'node:events';
import {createServer} from 'node:http';
import {after, before, describe, it} from 'node:test';
import {launch} from './harness/browser.js';
import {Server} from './harness/server.js';

let server, browser, elsewhere, page;

before(async () => {
	server = await Server.start();
	elsewhere = createServer((request, response) => {
		response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>Someone\'s page</title>');
	}).listen(0, '127.0.0.1');
	await once(elsewhere, 'listening');
	browser = await launch();
	page = await browser.newPage();
	await page.goto(`http://127.0.0.1:${elsewhere.address().port}/`);
	// what arrives is kept in the page until a test asks for it
	await page.evaluate(() => {
		window.arrived = [];
	});
});
after(async () => {
	await browser?.close();
	elsewhere?.close();
	await server?.stop();
});

/* Resolves with the next thing that the page has kept. */
async function next() {
	await page.waitForFunction(() => window.arrived.length > 0);
	return page.evaluate(() => window.arrived.shift());
}

describe('a page on another origin', () => {
	it('receives by EventSource: heartbeats and messages, strings and any JSON', async () => {
		await page.evaluate((url) => {
			window.source = new EventSource(url);
			for (const name of ['heartbeat', 'message'])
				window.source.addEventListener(name, ({data}) => window.arrived.push([name, data]));
		}, `${server.origin}/sse/messages?channels=a,b`);
		assert.deepEqual(await next(), ['heartbeat', '{}']);
		await page.evaluate(() => {
			window.source.addEventListener('heartbeat', () => {
				window.arrived = window.arrived.filter(([name]) => name === 'message');
			});
		});
		assert.deepEqual((await server.publish('a', 'line\nbreak')).body, {subscribers: 1});
		assert.deepEqual((await server.publish('b', {n: [1, null]})).body, {subscribers: 1});
		const messages = [];
		while (messages.length < 2) {
			const [name, data] = await next();
			if (name === 'message')
				messages.push(JSON.parse(data));
		}
		assert.deepEqual(messages, [{channel: 'a', message: 'line\nbreak'}, {channel: 'b', message: {n: [1, null]}}]);
		await page.evaluate(() => {
			window.source.close();
			window.arrived = [];
		});
	});

	it('receives by WebSocket', async () => {
		await page.evaluate((url) => {
			window.socket = new WebSocket(url);
			window.socket.onmessage = ({data}) => window.arrived.push(JSON.parse(data));
		}, `${server.origin.replace('http', 'ws')}/ws/messages?channels=c`);
		assert.deepEqual(await next(), {event: 'ping', data: {}});
		await server.publish('c', 'hello');
		let frame = await next();
		while (frame.event === 'ping')
			frame = await next();
		assert.deepEqual(frame, {event: 'message', data: {channel: 'c', message: 'hello'}});
		await page.evaluate(() => {
			window.socket.close();
			window.arrived = [];
		});
	});

	it('publishes with fetch, and may read the answer and the words of an error', async () => {
		const post = (body) => page.evaluate(async ([url, text]) => {
			const headers = {'Content-Type': 'application/json'};
			const answer = await fetch(url, {method: 'POST', headers, body: text});
			return [answer.status, await answer.json()];
		}, [`${server.origin}/messages`, body]);

		assert.deepEqual(await post('{"channel":"nobody","message":"x"}'), [202, {subscribers: 0}]);
		const [status, {error}] = await post('{"channel":"nobody"}');
		assert.equal(status, 400);
		assert.equal(typeof error, 'string');
	});
});
