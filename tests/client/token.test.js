/* Tokens: how the client library shows them, renews them, and tells a refusal that is final from one that is not. */
import assert from 'node:assert/strict';
import {after, afterEach, before, describe, it} from 'node:test';
import {Server} from '../browser/harness/server.js';
import {Tokens} from '../browser/harness/tokens.js';
import {Client, Push, until} from './harness/client.js';
import {Played} from './harness/played.js';

const key = new Tokens();
const clients = [];
let server;

const token = (expires = '1h', ...words) => key.make(expires, ...words.length ? words : ['--subscribe', 'news', '--publish', 'news']);

before(async () => {
	server = await Server.start(key.options);
});
after(async () => {
	await server?.stop();
	key.remove();
});
afterEach(() => {
	for (const client of clients.splice(0))
		client.close();
});

function open(options) {
	const client = new Client(server.origin, {channels: 'news', ...options});

	clients.push(client);
	return client;
}

/* A function that returns these tokens, the last one again and again; `asked` counts. */
function tokens(...all) {
	const next = async () => all[Math.min(next.asked++, all.length - 1)];

	next.asked = 0;
	return next;
}

it('waits if the user has too many connections, and connects when one of them has ended', async () => {
	const limited = await Server.start({...key.options, PUSH_LIMIT_USER_CONNECTIONS: '1'});
	const [first, second] = [0, 1].map(() => new Client(limited.origin, {token: token(), transport: 'ws'}));

	clients.push(first, second);
	try {
		first.push.subscribe('news', () => {});
		await first.reaches('open');
		second.push.subscribe('news', () => {});
		await second.reaches('waiting');
		assert.match(second.whys.at(-1).error, /^too many connections of one user/);
		first.push.close();
		await second.reaches('open');
		assert.ok(!second.states.includes('refused'));
	} finally {
		await limited.stop();
	}
});

for (const transport of ['ws', 'sse']) {
	describe(`by ${transport}`, () => {
		for (const [kind, make] of [['a string', () => token()], ['a function', () => tokens(token())]])
			it(`subscribes and publishes with a token from ${kind}`, async () => {
				const client = open({transport, token: make()});

				await client.reaches('open');
				assert.deepEqual(await client.push.publish('news', 1), {subscribers: 1});
				await client.receives('news', [1]);
				assert.equal(client.push.transport, transport);
			});

		it('asks for another token, once, when one is refused, and connects with it', async () => {
			const next = tokens('junk', token());
			const client = open({transport, token: next});

			await client.reaches('open');
			assert.deepEqual(client.states, ['connecting', 'waiting', 'connecting', 'open']);
			assert.equal(next.asked, 2);
		});

		it('ends when the other one is refused, too, and says why', async () => {
			const next = tokens('junk');
			const client = open({transport, token: next});

			await client.reaches('refused');
			assert.equal(next.asked, 2);
			assert.equal(client.whys.at(-1).error, 'the token is not a signed JWT in compact form');
		});

		it('ends at once when a token that cannot change is refused, or has no right', async () => {
			for (const [wrong, why] of [['junk', /not a signed JWT/], [token('1h', '--subscribe', 'other'), /no right to subscribe to 'news'/]]) {
				const client = open({transport, token: wrong});
				await client.reaches('refused');
				assert.match(client.whys.at(-1).error, why);
				assert.equal(client.states.join(), 'connecting,refused');
			}
		});

		it('renews the token before it expires, and no message is lost', async () => {
			const next = tokens(token('6s'), token());
			const client = open({transport, token: next});

			await client.reaches('open');
			await until(() => next.asked === 2 && (client.heard.includes('authenticated') || client.states.includes('moving')));
			await client.reaches('open');
			await client.push.publish('news', 1);
			await client.receives('news', [1]);
			assert.ok(!client.states.includes('waiting'), client.states.join());
		});

		it('is told that a token which cannot change has expired', async () => {
			const client = open({transport, token: token('4s')});

			await client.reaches('refused');
			assert.ok(client.states.includes('open'), client.states.join());
			assert.equal(client.whys.at(-1).error, 'the token has expired');
		});

		it('tries again when there is no token now', async () => {
			let asked = 0;
			const client = open({transport, token: () => {
				if (!asked++)
					throw new Error('try later');
				return token();
			}});

			await client.reaches('open');
			assert.deepEqual(client.states, ['connecting', 'waiting', 'connecting', 'open']);
			assert.equal(client.whys[1].error, 'no token: try later');
		});
	});
}

/* There a WebSocket is open before its token has been looked at. */
describe('where a channel is for everybody', () => {
	let open_;

	before(async () => {
		open_ = await Server.start({...key.options, PUSH_AUTH_ANONYMOUS: 'public:**'});
	});
	after(() => open_?.stop());

	for (const transport of ['ws', 'sse']) {
		const come = next => {
			const client = new Client(open_.origin, {channels: ['public:a'], transport, token: next});

			clients.push(client);
			return client;
		};

		it(`has the rights of its token, by ${transport}`, async () => {
			const client = come(token('1h', '--subscribe', 'public:**,mine', '--publish', 'mine'));

			await client.reaches('open');
			client.push.subscribe('mine', () => {});
			await until(async () => (await client.push.publish('mine', 1)).subscribers === 1);
			assert.deepEqual(client.errors, []);
		});

		it(`asks for another token when one is refused, and ends when that is, too, by ${transport}`, async () => {
			const next = tokens('junk', token('1h', '--subscribe', 'public:**'), 'junk');
			const client = come(next);

			await until(() => next.asked === 2 && client.states.at(-1) === 'open');
			const other = come(tokens('junk'));
			await other.reaches('refused');
			assert.equal(other.whys.at(-1).error, 'the token is not a signed JWT in compact form');
		});
	}
});

it('leaves a channel that the next token does not grant, and says so', async () => {
	const client = open({channels: ['news', 'more'], token: tokens(token('6s', '--subscribe', 'news,more'), token())});

	await until(() => client.errors.length);
	assert.deepEqual(client.errors, [{channel: 'more', error: 'no right to subscribe to \'more\''}]);
	await client.push.publish('news', 1);
	await client.receives('news', [1]);
});

it('connects with a token where none is asked for, too', async () => {
	const own = await Server.start();

	try {
		for (const transport of ['ws', 'sse']) {
			const client = new Client(own.origin, {channels: 'news', transport, token: 'any'});
			clients.push(client);
			await client.reaches('open');
		}
	} finally {
		await own.stop();
	}
});

it('publishes again with another token when one is refused, once', async () => {
	const next = tokens('junk', token(), 'junk');
	const own = new Push(server.origin, {token: next});

	assert.deepEqual(await own.publish('news', 1), {subscribers: 0});
	assert.deepEqual(await own.publish('news', 2), {subscribers: 0});
	assert.equal(next.asked, 2);
	await assert.rejects(new Push(server.origin, {token: 'junk'}).publish('news', 1), {status: 401, message: /not a signed JWT/});
	await assert.rejects(own.publish('other', 1), {status: 403, message: 'no right to publish to \'other\''});
	await assert.rejects(new Push(server.origin).publish('news', 1), {status: 401});
});

it('shows the token in the first message of a WebSocket, and in no URL', async () => {
	Played.all.length = 0;
	const client = new Client('http://push.test', {channels: 'news', transport: 'ws', WebSocket: Played, token: 'secret'});

	clients.push(client);
	await until(() => Played.last);
	Played.last.onopen();
	assert.deepEqual(Played.last.sent, [{event: 'auth', data: {token: 'secret'}}]);
	assert.doesNotMatch(Played.last.url, /secret/);
});

it('is put off, not refused, when the server has no room', async () => {
	Played.all.length = 0;
	const client = new Client('http://push.test', {channels: 'news', transport: 'ws', WebSocket: Played, token: 'secret'});

	clients.push(client);
	await until(() => Played.last);
	Played.last.end(1013);
	assert.equal(client.push.state, 'waiting');
});

it('says that a token must be one', () => {
	assert.throws(() => new Push('http://push.test', {token: {}}), {name: 'TypeError', message: 'token must be a string or a function'});
});
