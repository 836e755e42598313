/* What a program may say to the client library, and what it is told when it says it wrongly. */
import assert from 'node:assert/strict';
import {once} from 'node:events';
import {createServer} from 'node:net';
import {afterEach, beforeEach, describe, it, mock} from 'node:test';
import {setImmediate as turn} from 'node:timers/promises';
import {format} from 'node:util';
import {WebSocket} from 'undici';
import {Push, until} from './harness/client.js';
import {Played} from './harness/played.js';

let warnings;

beforeEach(() => {
	Played.all.length = 0;
	warnings = [];
	mock.method(console, 'warn', (...words) => warnings.push(format(...words)));
});
const opened = [];
afterEach(() => {
	for (const push of opened.splice(0))
		push.close();
	mock.restoreAll();
});

function start(options = {}, url = 'http://push.test') {
	const push = new Push(url, {transport: 'ws', WebSocket: Played, ...options});

	opened.push(push);
	Played.last?.say('ping');
	return push;
}

const channelsOf = ({url}) => new URL(url).searchParams.get('channels').split(',');
const say = (channel, message, id) => Played.last.say('message', {channel, message, id});

describe('channels', () => {
	it('may be one name, in the options and later, and are that name', () => {
		const push = start({channels: 'news'});

		assert.deepEqual(channelsOf(Played.last), ['news']);
		push.subscribe('chat');
		push.unsubscribe('news');
		assert.deepEqual(Played.last.sent, [
			{event: 'subscribe', data: {channels: ['chat']}}, {event: 'unsubscribe', data: {channels: ['news']}}]);
	});

	for (const name of ['a,b', 7, undefined, null, '\ud800'])
		it(`are those that were given, or none: ${JSON.stringify(name)} is refused before anything is changed`, () => {
			const push = start({channels: ['kept']});

			assert.throws(() => push.subscribe(['more', name]),
				{name: 'TypeError', message: `a channel must be a name without a comma, not ${JSON.stringify(name)}`});
			assert.throws(() => start({channels: ['more', name]}), /a channel must be a name without a comma/);
			assert.deepEqual(Played.last.sent, []);
			assert.equal(Played.all.length, 1);
		});
});

describe('a handler of a channel', () => {
	it('gets the messages of its channel, beside the one for all, until it is ended', () => {
		const got = [];
		const push = start({channels: 'all', message: ({message}) => got.push(`all ${message}`)});
		const end = push.subscribe('a', ({channel, message}, text) => got.push(`${channel} ${message} ${JSON.parse(text).event}`));

		say('a', 1);
		say('all', 2);
		end();
		say('a', 3);
		say('all', 4);
		assert.deepEqual(got, ['all 1', 'a 1 message', 'all 2', 'all 4']);
	});

	it('leaves its channel when it is ended, unless somebody else wants that', () => {
		const push = start({channels: 'kept'});
		const handler = () => {};
		const ends = [push.subscribe(['kept', 'a'], handler), push.subscribe('a', handler)];
		const left = () => Played.last.sent.filter(({event}) => event === 'unsubscribe').flatMap(({data}) => data.channels);

		ends[0]();
		ends[0]();
		assert.deepEqual(left(), []);
		ends[1]();
		assert.deepEqual(left(), ['a']);
		ends[1]();
		assert.deepEqual(left(), ['a']);
	});

	it('is gone with its channel, when that is left by name', () => {
		const got = [];
		const push = start({channels: 'kept'});
		const end = push.subscribe('a', ({message}) => got.push(message));

		push.unsubscribe('a');
		say('a', 1);
		push.subscribe('a');
		end();
		say('a', 2);
		assert.deepEqual(got, []);
		assert.deepEqual(Played.last.sent.map(({event}) => event), ['subscribe', 'unsubscribe', 'subscribe']);
	});
});

describe('on', () => {
	it('adds handlers to those of the options, each until it is ended', () => {
		const got = [];
		const push = start({channels: 'a', gap: ({missed}) => got.push(`first ${missed}`)});
		const end = push.on('gap', ({missed}) => got.push(`second ${missed}`));

		Played.last.say('gap', {channel: 'a', missed: 1});
		end();
		Played.last.say('gap', {channel: 'a', missed: 2});
		assert.deepEqual(got, ['first 1', 'second 1', 'first 2']);
	});
});

describe('a misspelt name', () => {
	for (const [wrong, right] of [['chanels', 'channels'], ['channel', 'channels'], ['onmessage', 'message'], ['mesage', 'message'],
		['ack', 'acks'], ['websocket', 'WebSocket'], ['eventSource', 'EventSource'], ['gpa', 'gap'], ['tranport', 'transport'],
		['hearbeat', 'heartbeat'], ['clientId', 'client'], ['stat', 'state'], ['Id', 'id'], ['erorr', 'error']])
		it(`of an option, ${wrong}, is refused, and the nearest right one is named: ${right}`, () => {
			assert.throws(() => start({[wrong]: []}),
				{name: 'TypeError', message: `unknown option '${wrong}': did you mean '${right}'?`});
			assert.equal(Played.all.length, 0);
		});

	it('of an event, or of a transport, likewise', () => {
		assert.throws(() => start().on('mesage', () => {}), {message: 'unknown event \'mesage\': did you mean \'message\'?'});
		assert.throws(() => start({transport: 'sses'}), {message: 'unknown transport \'sses\': did you mean \'sse\'?'});
	});
});

describe('the URL', () => {
	it('must be one of HTTP', () => {
		for (const url of ['localhost:8080', 'ws://push.test', '/', undefined])
			assert.throws(() => new Push(url), {name: 'TypeError', message: `'${url}' must begin with http:// or https://`});
	});

	it('may be a URL object, and may end in a slash', () => {
		start({channels: 'a'}, new URL('http://push.test'));
		assert.equal(Played.last.url, 'ws://push.test/ws/messages?channels=a');
		start({channels: 'a'}, 'https://push.test/below/');
		assert.equal(Played.last.url, 'wss://push.test/below/ws/messages?channels=a');
	});

	it('carries any client\'s name as it is', () => {
		start({channels: 'a', client: 'a&b=c'});
		assert.equal(new URL(Played.last.url).searchParams.get('client'), 'a&b=c');
	});
});

describe('without a word from the program', () => {
	it('a runtime without WebSocket is named as such', () => {
		assert.throws(() => new Push('http://push.test', {channels: 'a', WebSocket: null, EventSource: null}),
			{name: 'TypeError', message: 'no WebSocket here: pass one as an option'});
		assert.throws(() => new Push('http://push.test', {channels: 'a', transport: 'sse', EventSource: null}),
			{name: 'TypeError', message: 'no EventSource here: pass one as an option'});
		// on a server that renders pages
		assert.equal(new Push('http://push.test', {WebSocket: null, EventSource: null}).state, 'idle');
	});

	it('a server that cannot be reached is written to the console', async () => {
		const server = createServer().listen(0, '127.0.0.1');
		await once(server, 'listening');
		const {port} = server.address();
		await new Promise((closed) => { server.close(closed); });
		const url = `http://127.0.0.1:${port}`;
		start({channels: 'a', WebSocket}, url);

		await until(() => warnings.length);
		assert.equal(warnings[0], `push.js: waiting: no connection to ${url}`);
	});

	it('a refusal is written to the console', () => {
		const push = start({channels: ['a', 'b']});

		Played.last.say('error', {channel: 'b', error: 'no'});
		Played.last.onmessage({data: '{"error":"never"}'});
		Played.last.end(1008);
		assert.equal(push.state, 'refused');
		assert.deepEqual(warnings, ['push.js: { channel: \'b\', error: \'no\' }', 'push.js: refused: never']);
	});

	it('nothing is written that the program handles', () => {
		const push = start({channels: ['a', 'b'], state: () => {}});
		const end = push.on('error', () => {});

		Played.last.say('error', {channel: 'b', error: 'no'});
		Played.last.end(1006);
		assert.deepEqual(warnings, []);
		end();
	});
});

describe('for await', () => {
	/* Collects what the loop brings, until `count` are there, or it ends. */
	async function collect(push, count = Infinity) {
		const got = [];

		for await (const {message} of push) {
			got.push(message);
			if (got.length === count)
				break;
		}
		return got;
	}

	it('brings each message in order, and ends with close(), after what has come', async () => {
		const push = start({channels: 'a'});
		const got = collect(push);

		say('a', 1);
		say('a', 2);
		await turn();
		say('a', 3);
		say('a', 4);
		push.close();
		assert.deepEqual(await got, [1, 2, 3, 4]);
	});

	it('brings what one loop has left to the next one, and each message to both of two', async () => {
		const push = start({channels: 'a'});
		const first = collect(push, 1);

		say('a', 1);
		say('a', 2);
		assert.deepEqual(await first, [1]);
		const both = [collect(push, 2), collect(push, 1)];
		say('a', 3);
		assert.deepEqual(await Promise.all(both), [[2, 3], [3]]);
	});

	it('ends at once where there is no channel', async () => {
		assert.deepEqual(await collect(start()), []);
	});

	it('throws the server\'s words when it refuses', async () => {
		const push = start({channels: 'a'});
		const got = collect(push);

		Played.last.onmessage({data: '{"error":"never"}'});
		Played.last.end(1008);
		await assert.rejects(got, {message: 'never', code: 1008});
		await assert.rejects(collect(push), {message: 'never', code: 1008});
	});

	it('acknowledges what the loop has done, and not what it is at or has not begun', async () => {
		const push = start({channels: 'a', acks: true});
		const steps = [];
		const loop = (async () => {
			for await (const {message} of push)
				await new Promise((done) => steps.push([message, done]));
		})();
		const acks = () => Played.last.sent.map(({data}) => data.id);

		for (const n of [1, 2, 3])
			say('a', n, `id${n}`);
		await until(() => steps.length === 1);
		assert.equal(push.id, '');
		steps[0][1]();
		await until(() => steps.length === 2 && acks().length);
		assert.equal(push.id, 'id1');
		assert.deepEqual(acks(), ['id1']);
		push.close();
		assert.deepEqual(acks(), ['id1']);
		steps[1][1]();
		await until(() => steps.length === 3);
		steps[2][1]();
		await loop;
		await until(() => push.id === 'id3');
	});
});

it('publish throws the status where the server has no words', async (t) => {
	t.mock.method(globalThis, 'fetch', async () => new Response('<html>', {status: 404}));
	await assert.rejects(start().publish('a', 1), {message: 'status 404', status: 404});
});
