/* The console on a server that stays: subscribe, publish, receive, and what a person does with the messages. */
import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {after, afterEach, before, describe, it} from 'node:test';
import {Console, launch} from './harness/browser.js';
import {Server} from './harness/server.js';
import {Tokens} from './harness/tokens.js';

const NAMES = {ws: 'WebSocket', sse: 'EventSource'};

let server, browser, console_;

before(async () => {
	server = await Server.start();
	browser = await launch();
});
after(async () => {
	await browser?.close();
	await server?.stop();
});
afterEach(async () => {
	const faults = console_?.faults ?? [];

	await console_?.close();
	console_ = null;
	assert.deepEqual(faults, [], 'scripts of the page failed');
});

async function open(options) {
	console_ = await Console.open(browser, server, options);
	return console_;
}

it('says that everybody may publish and subscribe', async () => {
	const console = await open({transport: 'ws'});

	await console.page.getByText('Everybody may publish and subscribe here').waitFor();
});

for (const transport of ['ws', 'sse']) {
	describe(`by ${NAMES[transport]}`, () => {
		it('what is published in the console arrives in it, with its latency', async () => {
			const console = await open({transport});

			await console.state('Connected');
			await console.publish('good morning');
			await console.answer('202 Accepted');
			await console.answer('to 1 subscriber');
			await console.row('good morning').waitFor();
			assert.match(await console.row('good morning').locator('.row-latency').textContent(), /^[\d.]+ ms$/);
			await console.figure('Messages', '1');
		});

		it('what others publish arrives, on each channel that is subscribed to and no other', async () => {
			const console = await open({transport, channels: ['a', 'b']});

			await console.state('Connected');
			await server.publish('c', 'not for us');
			await server.publish('a', 'first');
			await server.publish('b', {second: true});
			await console.row('second').waitFor();
			assert.deepEqual(await console.contents(), ['first', '{"second": true}']);
			assert.equal(await console.row('first').locator('.row-latency').textContent(), '');
		});

		it('heartbeats are seen and counted', async () => {
			const console = await open({transport});

			await console.page.getByText(/^[3-9] beats, every /).waitFor();
			await console.figure('Last heard', 'just now');
		});

		it('a subscription that the server refuses shows the server\'s words', async () => {
			const refused = await fetch(`${server.origin}/sse/messages?channels=a,,b`);
			const {error} = await refused.json();
			const console = await open({transport});

			await console.state('Connected');
			await console.page.locator('#channels').fill('a,,b');
			await console.page.getByRole('button', {name: 'Subscribe'}).click();
			await console.state('Refused');
			await console.page.getByText(`The server says: ${error}`).waitFor();
			await console.page.getByRole('button', {name: 'Try again'}).waitFor();
		});

		it('any channel name that the server takes works', async () => {
			const names = ['two words', 'ünï', '50%', 'x&y=z#w?', '<i>', '"\'\\'];
			const console = await open({transport, channels: names});

			await console.state('Connected');
			for (const name of names)
				await server.publish(name, `to ${name}`);
			await console.row(`to ${names.at(-1)}`).waitFor();
			assert.deepEqual(await console.contents(), names.map((name) => `to ${name}`));
		});

		it('markup in a message, a channel or an error is shown as text', async () => {
			const markup = '<img src=x onerror="document.title=1"><script>document.title=2</script><b>bold</b>';
			const console = await open({transport, channels: ['<b>c</b>']});

			await console.state('Connected');
			await server.publish('<b>c</b>', markup);
			await server.publish('<b>c</b>', {[markup]: markup});
			await console.row('{').locator('summary').click();
			await console.row('{').locator('pre').waitFor();
			await console.publish(markup, {kind: 'JSON'});
			await console.page.locator('.field-error').filter({hasText: /^Not JSON: .*<img/}).waitFor();
			assert.equal(await console.page.locator('#messages img, #messages script, #messages b, form b').count(), 0);
			assert.equal((await console.contents())[0], markup);
			assert.match(await console.page.title(), /^<b>c<\/b> – /);
		});
	});
}

describe('the console', () => {
	it('changes the transport while it is connected', async () => {
		const console = await open();

		await console.state('Connected');
		await console.page.getByRole('group', {name: 'Transport'}).getByLabel('EventSource').check();
		await console.page.getByText(/^EventSource, for /).waitFor();
		await server.publish('demo', 'still here');
		await console.row('still here').waitFor();
		await console.page.waitForURL('**/#channels=demo&transport=sse');
	});

	it('keeps channels and transport in its address, so that a link can be shared', async () => {
		const console = await open();

		await console.page.locator('#channels').fill('orders, a/b');
		await console.page.locator('#channels').press('Enter');
		await console.page.waitForURL('**/#channels=orders,a%2Fb&transport=ws');
		await console.page.goto(`${server.origin}/#channels=x%20y&transport=sse`);
		await console.page.getByText(/^EventSource, for /).waitFor();
		assert.equal(await console.page.locator('#channels').inputValue(), 'x y');
	});

	it('disconnects when told to, and leaves no subscriber behind', async () => {
		const console = await open({channels: ['leaving']});

		await console.state('Connected');
		await console.page.getByRole('button', {name: 'Disconnect'}).click();
		await console.state('Not connected');
		await console.publish('anyone?');
		await console.answer('to 0 subscribers');
	});

	it('publishes any JSON value as it was typed', async () => {
		const console = await open();
		const values = ['12345678901234567890', '{"a":[1,null,true],"b":{}}', '"text"', 'null', '[]', '0'];

		await console.state('Connected');
		for (const value of values) {
			await console.publish(value, {kind: 'JSON'});
			await console.answer('202 Accepted');
			await console.page.waitForFunction((count) => document.getElementsByClassName('row-content').length === count,
				values.indexOf(value) + 1);
		}
		assert.deepEqual(await console.contents(),
			['12345678901234567890', '{"a": [1, null, true], "b": {}}', 'text', 'null', '[]', '0']);
	});

	it('sends nothing that is not JSON, and says why', async () => {
		const console = await open();
		const requests = [];

		console.page.on('request', (request) => requests.push(request.method()));
		await console.publish('{"a": ', {kind: 'JSON'});
		await console.page.locator('.field-error').filter({hasText: /^Not JSON: /}).waitFor();
		assert.equal(await console.page.getByRole('textbox', {name: 'Message'}).getAttribute('aria-invalid'), 'true');
		assert.ok(!requests.includes('POST'));
	});

	it('shows status and words of a publish that the server refuses', async () => {
		const console = await open();
		const {status, body} = await server.publish('', 'x');

		await console.publish('x', {channel: ''});
		await console.answer(String(status));
		await console.answer(body.error);
	});

	it('unfolds a message, pretty and with a copy of it', async () => {
		const console = await open();
		const value = {id: 1, items: ['tea', {n: 2}], none: []};

		await console.context.grantPermissions(['clipboard-read', 'clipboard-write']);
		await console.state('Connected');
		await server.publish('demo', value);
		await console.row('tea').locator('summary').click();
		assert.equal(await console.row('tea').locator('pre').textContent(), JSON.stringify(value, null, 2));
		await console.row('tea').getByRole('button', {name: 'Copy'}).click();
		await console.row('tea').getByRole('button', {name: 'Copied'}).waitFor();
		assert.equal(await console.page.evaluate(() => navigator.clipboard.readText()), JSON.stringify(value, null, 2));
	});

	it('filters by channel and content', async () => {
		const console = await open({channels: ['fruit', 'tools']});

		await console.state('Connected');
		await server.publish('fruit', 'Apple');
		await server.publish('tools', 'hammer');
		await server.publish('tools', {for: 'apples'});
		await console.row('apples').waitFor();
		await console.page.getByLabel('Filter').fill('APPLE');
		await console.page.getByText('2 of 3').waitFor();
		await console.page.getByLabel('Filter').fill('tools');
		assert.deepEqual(await console.contents(), ['hammer', '{"for": "apples"}']);
		await console.page.getByLabel('Filter').fill('pear');
		await console.page.getByText('Nothing matches').waitFor();
	});

	it('pauses without losing, and clears', async () => {
		const console = await open();

		await console.state('Connected');
		await server.publish('demo', 'before');
		await console.row('before').waitFor();
		await console.page.getByRole('button', {name: 'Pause'}).click();
		await server.publish('demo', 'meanwhile');
		await console.page.getByRole('button', {name: 'Resume (1)'}).waitFor();
		assert.deepEqual(await console.contents(), ['before']);
		await console.page.getByRole('button', {name: 'Resume (1)'}).click();
		await console.row('meanwhile').waitFor();
		assert.deepEqual(await console.contents(), ['before', 'meanwhile']);
		await console.page.getByRole('button', {name: 'Clear'}).click();
		await console.page.getByText('No messages yet').waitFor();
		assert.equal(await console.rows.count(), 0);
	});

	it('keeps the reader\'s place in the list when newer messages come', async () => {
		const console = await open();
		await console.state('Connected');
		for (let n = 0; n < 40; n++)
			await server.publish('demo', n);
		await console.row('39').waitFor();
		const first = await console.reveal(/^5$/);
		const {y} = await first.boundingBox();
		for (let n = 0; n < 7; n++)
			await server.publish('demo', 'newer');
		await console.page.getByRole('button', {name: '↑ 7 newer'}).waitFor();
		assert.ok(Math.abs((await first.boundingBox()).y - y) < 2, 'the row has moved');
		await console.page.getByRole('button', {name: '↑ 7 newer'}).click();
		await console.page.getByRole('button', {name: 'newer'}).waitFor({state: 'hidden'});
	});

	it('shows commands and programs that work as they are', async () => {
		const console = await open({channels: ['it\'s', 'b c']});
		const {page} = console;
		const snippet = async (verb, tool) => {
			await page.getByRole('group', {name: 'Example of'}).getByLabel(verb, {exact: true}).check();
			await page.getByLabel('Example with').selectOption(tool);
			return page.getByRole('region', {name: 'Example'}).textContent();
		};
		const run = (program, text) => execFileSync(program, ['-c', text], {encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore']});
		const message = 'say "it\'s" $HOME `id`';

		await console.state('Connected');
		await console.publish(message, {channel: 'b c'});
		await console.row('$HOME').waitFor();
		await page.getByText('From a terminal or a program').click();
		assert.deepEqual(JSON.parse(run('sh', await snippet('Publish', 'curl'))), {subscribers: 1});
		assert.deepEqual(JSON.parse(run('python3', await snippet('Publish', 'Python'))), {subscribers: 1});
		await page.waitForFunction(() => document.getElementsByClassName('row-content').length === 3);
		assert.deepEqual(await console.contents(), Array(3).fill(message));
		const curl = await snippet('Subscribe', 'curl');
		assert.equal(run('sh', `${curl} -s --max-time 5 | head -n 2`), 'event:heartbeat\ndata:{}\n');
		assert.equal(await snippet('Subscribe', 'websocat'),
			`websocat 'ws://127.0.0.1:${server.port}/ws/messages?channels=it'\\''s,b%20c'`);
		assert.equal(await snippet('Subscribe', 'push'), `push sub --url ${server.origin} 'it'\\''s' 'b c'`);
		assert.equal(await snippet('Publish', 'push'),
			`push pub --url ${server.origin} 'b c' 'say "it'\\''s" $HOME \`id\`'`);
		assert.match(await snippet('Subscribe', 'EventSource'), /new EventSource\(/);
	});

	it('remembers the theme that was chosen', async () => {
		const console = await open({colorScheme: 'light'});
		const page = () => console.page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
		const light = await page();

		await console.page.getByRole('button', {name: 'Colour theme: system'}).click();
		await console.page.getByRole('button', {name: 'Colour theme: light'}).click();
		await console.page.getByRole('button', {name: 'Colour theme: dark'}).waitFor();
		const dark = await page();
		assert.notEqual(dark, light);
		await console.page.reload();
		assert.equal(await page(), dark);
	});

	it('makes no request to anywhere but its own origin', async () => {
		const context = await browser.newContext();
		const page = await context.newPage();
		const addresses = [];
		const violations = [];

		context.on('request', (request) => addresses.push(request.url()));
		page.on('websocket', (socket) => addresses.push(socket.url().replace(/^ws/, 'http')));
		page.on('console', (message) => {
			if (/Content Security Policy|Trusted/.test(message.text()))
				violations.push(message.text());
		});
		await page.goto(`${server.origin}/#channels=demo&transport=ws`);
		await page.getByText(/^WebSocket, for /).waitFor();
		await page.getByRole('group', {name: 'Transport'}).getByLabel('EventSource').check();
		await page.getByText(/^EventSource, for /).waitFor();
		await page.getByRole('button', {name: 'Publish'}).click();
		await page.getByText('202 Accepted').waitFor();
		await context.close();
		assert.ok(addresses.some((address) => address.includes('/ws/messages')), 'the WebSocket was not seen');
		assert.ok(addresses.length > 10, 'too few requests to be all');
		assert.deepEqual(addresses.filter((address) => new URL(address).origin !== server.origin), []);
		assert.deepEqual(violations, []);
	});

	it('is forbidden by its policy to load from elsewhere, and to make markup of text', async () => {
		const console = await open();
		const foreign = await console.page.evaluate(async () => {
			const violated = new Promise((resolve) => {
				document.addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective));
			});
			document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:1/x.png'}));
			return violated;
		});

		assert.equal(foreign, 'img-src');
		await assert.rejects(console.page.evaluate(() => {
			document.body.innerHTML = '<b>no</b>';
		}), /TrustedHTML/);
	});
});

describe('a token', () => {
	let guarded, tokens;

	before(async () => {
		tokens = new Tokens();
		guarded = await Server.start({...tokens.options, PUSH_HISTORY_SIZE: '10'});
	});
	after(async () => {
		await guarded?.stop();
		tokens.remove();
	});

	async function show(console, token) {
		await console.page.getByRole('region', {name: 'Subscribe'}).getByText('More options').click();
		await console.page.getByLabel('Token').fill(token);
		await console.page.getByRole('button', {name: 'Subscribe'}).click();
	}

	for (const transport of ['ws', 'sse'])
		it(`is shown when the console subscribes, publishes and reads history, and is in no link: ${transport}`, async () => {
			console_ = await Console.open(browser, guarded, {transport});
			const {page} = console_;
			const token = tokens.make('1h', '--subscribe', 'demo', '--publish', 'demo', '--history', 'demo');

			await console_.state('Refused');
			await show(console_, token);
			await console_.state('Connected');
			await console_.publish(`by ${transport}`);
			await console_.answer('202 Accepted');
			await console_.row(`by ${transport}`).waitFor();
			await page.getByRole('radio', {name: 'History'}).check();
			await page.locator('#history-rows').getByText(`by ${transport}`).waitFor();
			assert.ok(!page.url().includes(token));
			assert.ok(!(await page.evaluate(() => JSON.stringify([localStorage, sessionStorage]))).includes(token));
		});

	it('is $TOKEN in the commands and programs, which work with it in the environment', async () => {
		console_ = await Console.open(browser, guarded);
		const {page} = console_;
		const token = tokens.make('1h', '--subscribe', 'demo', '--publish', 'demo');
		const env = {...process.env, TOKEN: token};
		const run = (program, text) => execFileSync(program, ['-c', text], {encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'ignore']});

		await show(console_, token);
		await console_.state('Connected');
		await page.getByText('From a terminal or a program').click();
		const texts = [];
		for (const verb of ['Subscribe', 'Publish']) {
			await page.getByRole('group', {name: 'Example of'}).getByLabel(verb, {exact: true}).check();
			for (const tool of await page.getByLabel('Example with').getByRole('option').allTextContents()) {
				await page.getByLabel('Example with').selectOption(tool);
				texts.push([`${verb} ${tool}`, await page.getByRole('region', {name: 'Example'}).textContent()]);
			}
		}
		const {'Publish curl': publish, 'Publish Python': python, 'Subscribe curl': curl,
			'Subscribe EventSource': eventSource} = Object.fromEntries(texts);
		for (const [name, text] of texts)
			assert.ok(/\bTOKEN\b/.test(text) && !text.includes(token), name);
		assert.deepEqual(JSON.parse(run('sh', publish)), {subscribers: 1});
		assert.deepEqual(JSON.parse(run('python3', python)), {subscribers: 1});
		assert.equal(run('sh', `${curl} -s --max-time 5 | head -n 2`), 'event:heartbeat\ndata:{}\n');
		const opened = page.evaluate(`(async () => { ${eventSource.replace('$TOKEN', token)}
			return new Promise((resolve) => events.addEventListener('heartbeat', () => resolve(events.close() ?? 'opened'))); })()`);
		assert.equal(await opened, 'opened');
	});

	it('that is refused, or has no right, shows the server\'s words', async () => {
		console_ = await Console.open(browser, guarded);
		await show(console_, 'junk');
		await console_.page.getByText('The server says: the token is not a signed JWT in compact form').waitFor();
		await console_.publish('hello');
		await console_.answer('401 Unauthorized the token is not a signed JWT in compact form');
		await console_.page.getByLabel('Token').fill(tokens.make('1h', '--subscribe', 'other'));
		await console_.publish('hello');
		await console_.answer('403 Forbidden no right to publish to \'demo\'');
	});

	it('is not kept for another server that a link names', async () => {
		console_ = await Console.open(browser, guarded);
		await show(console_, 'secret');
		await console_.page.evaluate((origin) => {
			location.hash = `#channels=demo&server=${encodeURIComponent(origin)}`;
		}, server.origin);
		await console_.page.getByText('This link names another server').first().waitFor();
		assert.equal(await console_.page.getByLabel('Token').inputValue(), '');
	});
});
