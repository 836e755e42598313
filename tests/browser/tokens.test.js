/* The examples of docs/ that show a token in a web page, as they stand there, in a page of another origin. */
import assert from 'node:assert/strict';
import {once} from 'node:events';
import {readFileSync} from 'node:fs';
import {createServer} from 'node:http';
import {after, afterEach, before, beforeEach, describe, it} from 'node:test';
import {setTimeout as wait} from 'node:timers/promises';
import {launch} from './harness/browser.js';
import {Server} from './harness/server.js';
import {Tokens} from './harness/tokens.js';

const EXAMPLE = /<!-- run by: tests\/browser -->\n```js\n([^]*?)```/g;
const RIGHTS = ['--subscribe', 'news', '--publish', 'chat:*'];
const TRIES = 600;

let server, tokens, publisher, browser, application, page, lines, answered;

/* What an application is here: an empty page, push.js as it is copied to the page's site, and tokens for the user. */
function answer({url}, response) {
	if (url === '/push.js')
		return response.setHeader('Content-Type', 'text/javascript')
			.end(readFileSync(new URL('../../mounts/push.js', import.meta.url)));
	if (url === '/push-token') {
		answered++;
		return response.end(tokens.make('1h', ...RIGHTS));
	}
	return response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>Someone\'s page</title>');
}

before(async () => {
	tokens = new Tokens();
	publisher = tokens.make('1h', '--publish', '**');
	server = await Server.start({...tokens.options, PUSH_RECONNECT_DITHER_MIN_DURATION: '1h', PUSH_RECONNECT_DITHER_MAX_DURATION: '1h'});
	application = createServer(answer).listen(0, '127.0.0.1');
	await once(application, 'listening');
	browser = await launch();
});
after(async () => {
	await browser?.close();
	application?.close();
	await server?.stop();
	tokens.remove();
});
beforeEach(async () => {
	lines = [];
	answered = 0;
	page = await browser.newPage();
	page.on('console', (message) => lines.push(message.text().trim()));
	page.on('pageerror', (error) => lines.push(error.message));
	await page.goto(`http://127.0.0.1:${application.address().port}/`);
});
afterEach(() => page.close());

/* The blocks of a page below a heading. */
function examples(path, heading) {
	const text = readFileSync(new URL(`../../docs/${path}`, import.meta.url), 'utf8');
	const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? '';

	return [...section.matchAll(EXAMPLE)].map(([, source]) => source);
}

/* Runs it as a module of the page; `token` is there already. */
async function run(source, token) {
	const here = source.replaceAll('localhost:8080', `127.0.0.1:${server.port}`);

	await page.evaluate(([text, shown]) => {
		globalThis.token = shown;
		const module = text.replace('\'/push.js\'', `'${location.origin}/push.js'`);
		return import(URL.createObjectURL(new Blob([module], {type: 'text/javascript'})));
	}, [here, token]);
}

/* Until the page has written such a line. */
async function shows(pattern, attempt = () => {}) {
	for (let n = 0; n < TRIES && !lines.some((line) => pattern.test(line)); n++) {
		await attempt();
		await wait(25);
	}
	assert.ok(lines.some((line) => pattern.test(line)), `${pattern} is not in\n${lines.join('\n')}`);
}

async function publish() {
	const headers = {'Content-Type': 'application/json', Authorization: `Bearer ${publisher}`};

	await fetch(`${server.origin}/messages`, {method: 'POST', headers, body: '{"channel":"news","message":"hello"}'});
}

const SUBSCRIBES = [
	['security.md', 'A web page', 1], ['browser-tokens.md', 'WebSocket', 2], ['browser-tokens.md', 'EventSource', 1],
	['browser-tokens.md', 'Renew on the open connection', 1], ['javascript.md', 'Tokens', 1],
];

for (const [path, heading, count] of SUBSCRIBES)
	describe(`docs/${path}, ${heading}`, () => {
		const sources = examples(path, heading);

		it('has examples', () => assert.equal(sources.length, count));

		// the server asks for tokens: without one that is accepted, nothing arrives
		for (const [i, source] of sources.entries())
			it(`subscribes with the token, by example ${i + 1}`, async () => {
				await run(source, tokens.make('1h', ...RIGHTS));
				await shows(/hello/, publish);
			});
	});

describe('docs/browser-tokens.md', () => {
	it('renews the token on the open connection', async () => {
		const [source] = examples('browser-tokens.md', 'Renew on the open connection');

		await run(source, tokens.make('20s', ...RIGHTS));
		await shows(/"authenticated".*"expires_in":3\d\d\d/);
		assert.equal(answered, 1);
		await shows(/hello/, publish);
	});

	it('publishes with the token, and is refused without a right', async () => {
		const [source] = examples('browser-tokens.md', 'Publish and read history');

		await run(source, tokens.make('1h', ...RIGHTS));
		await shows(/^202 {"subscribers":0}$/);
		await run(source, tokens.make('1h', '--publish', 'news'));
		await shows(/^403 {"error":"no right to publish to 'chat:7'"}$/);
	});

	it('stops an EventSource whose token has ended: one more request, and no storm', async () => {
		const [source] = examples('browser-tokens.md', 'EventSource');
		const requests = [];

		page.on('request', (request) => requests.push(request.url()));
		await run(`${source}\nglobalThis.events = events;`, tokens.make('3s', ...RIGHTS));
		await page.waitForFunction(() => globalThis.events.readyState === EventSource.CLOSED);
		assert.ok(lines.includes('{"error":"the token has expired"}'), lines.join('\n'));
		assert.equal(requests.filter((url) => url.includes('/sse/messages')).length, 2);
	});
});
