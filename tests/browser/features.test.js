/* What the console can do beyond one channel: other servers, history, options of both forms, export, figures. */
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {after, afterEach, before, describe, it} from 'node:test';
import {Console, launch} from './harness/browser.js';
import {Server} from './harness/server.js';

let server, other, browser, console_;

before(async () => {
	[server, other, browser] = await Promise.all([
		// a browser on a busy machine may be slow to read a burst, and is not to be closed for it
		Server.start({PUSH_HISTORY_SIZE: '5000', PUSH_CLIENT_QUEUE_MAX_SIZE: '16mb', PUSH_CHANNELS_LIST: 'on'}, {isOpen: true}),
		Server.start(), launch(),
	]);
});
after(async () => {
	await browser?.close();
	await Promise.all([server?.stop(), other?.stop()]);
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

async function unfoldOptions({page}, form) {
	await page.getByRole('region', {name: form}).getByText('More options').click();
}

/* The body of the next publish of the page, as it goes to the server. */
async function nextPublish(page) {
	const request = await page.waitForRequest((sent) => sent.method() === 'POST');

	return {url: new URL(request.url()), body: request.postData()};
}

describe('another server', () => {
	it('is subscribed to and published to, if its URL is typed', async () => {
		const console = await open();

		await console.state('Connected');
		await unfoldOptions(console, 'Subscribe');
		await console.page.getByLabel('Server', {exact: false}).first().fill(other.origin);
		await console.page.getByRole('button', {name: 'Subscribe', exact: true}).click();
		await console.page.locator('#origin').filter({hasText: `127.0.0.1:${other.port}`}).waitFor();
		await console.state('Connected');
		await other.publish('demo', 'from the other');
		await console.row('from the other').waitFor();
		await console.publish('to the other');
		await console.answer('to 1 subscriber');
		await console.row('to the other').waitFor();
	});

	it('is named wrong: that is said at the field, and nothing changes', async () => {
		const console = await open();

		await console.state('Connected');
		await unfoldOptions(console, 'Subscribe');
		const field = console.page.locator('#server');
		await field.fill('push.example.com');
		await console.page.getByText('\'push.example.com\' must be a URL such as').waitFor();
		await field.press('Enter');
		assert.equal(await field.getAttribute('aria-invalid'), 'true');
		await console.state('Connected');
	});

	it('is not called by a link alone', async () => {
		const context = await browser.newContext();
		const page = await context.newPage();
		const called = [];

		page.on('request', (request) => called.push(request.url()));
		page.on('websocket', (socket) => called.push(socket.url()));
		await page.goto(`${server.origin}/#channels=demo&transport=ws&server=${encodeURIComponent(other.origin)}`);
		await page.getByText(`This link names another server, ${other.origin}: choose Subscribe`).first().waitFor();
		assert.equal(await page.locator('#server').inputValue(), other.origin);
		assert.deepEqual(called.filter((url) => url.includes(`:${other.port}`)), []);
		assert.ok(!called.some((url) => url.includes('/ws/messages')), 'it has subscribed');
		await page.getByRole('button', {name: 'Subscribe', exact: true}).click();
		await page.getByText(/^WebSocket, for /).waitFor();
		assert.ok(called.some((url) => url.startsWith(`ws://127.0.0.1:${other.port}/ws/messages`)));
		await context.close();
	});
});

describe('subscribing', () => {
	it('starts after an id: what was published since then comes first', async () => {
		const console = await open({channels: ['from']});

		await console.state('Connected');
		await server.publish('from', 'first');
		await console.row('first').locator('summary').click();
		const text = await console.row('first').locator('.row-facts').textContent();
		const [, id] = /id (\S+?)Copy/.exec(text);
		await server.publish('from', 'second');
		await console.row('second').waitFor();
		await console.page.goto('about:blank');
		await console.page.goto(`${server.origin}/#channels=from&transport=ws&from=${encodeURIComponent(id)}`);
		await console.row('second').waitFor();
		await console.page.getByText('Nothing is missing; 1 message came late').waitFor();
		assert.deepEqual(await console.contents(), ['second']);
		assert.equal(await console.page.getByLabel('Start after id').inputValue(), id);
	});

	it('acknowledges, and goes on as the same client in another page', async () => {
		const console = await open({channels: ['work']});
		const subscribe = async () => {
			await unfoldOptions(console, 'Subscribe');
			await console.page.getByLabel('Client name').fill('console-test');
			await console.page.getByRole('button', {name: 'Subscribe', exact: true}).click();
		};

		await console.state('Connected');
		await subscribe();
		await console.page.getByText('The server has no position of the client console-test: it starts now').waitFor();
		await server.publish('work', 'done');
		await console.row('done').waitFor();
		await server.waitForMetric('push_acks_total', 1);
		await console.page.getByRole('button', {name: 'Disconnect'}).click();
		await server.publish('work', 'to do');
		await console.page.getByRole('button', {name: 'Subscribe', exact: true}).click();
		await console.row('to do').waitFor();
		assert.deepEqual(await console.contents(), ['done', 'to do']);
	});

	it('offers no acks with EventSource, which cannot send any', async () => {
		const console = await open({transport: 'sse'});

		await unfoldOptions(console, 'Subscribe');
		assert.ok(await console.page.getByLabel('Acknowledge messages').isDisabled());
		assert.ok(await console.page.getByLabel('Client name').isDisabled());
		await console.page.getByRole('group', {name: 'Transport'}).getByLabel('WebSocket').check();
		assert.ok(await console.page.getByLabel('Acknowledge messages').isEnabled());
	});

	it('copies a link that leads another reader to the same', async () => {
		const console = await open({channels: ['a b']});

		await console.context.grantPermissions(['clipboard-read', 'clipboard-write']);
		await unfoldOptions(console, 'Subscribe');
		await console.page.getByLabel('Acknowledge messages').check();
		await console.page.getByLabel('Client name').fill('mine');
		await console.page.getByRole('button', {name: 'Copy link'}).click();
		await console.page.getByRole('button', {name: 'Copied'}).waitFor();
		assert.equal(await console.page.evaluate(() => navigator.clipboard.readText()),
			`${server.origin}/#channels=a%20b&transport=ws&acks=true`);
	});
});

describe('publishing', () => {
	it('goes to several channels, with time to live, key and wait=written, and says how many have it', async () => {
		const console = await open({channels: ['one', 'two']});

		await console.state('Connected');
		await unfoldOptions(console, 'Publish');
		await console.page.getByLabel('Time to live').fill('30s');
		await console.page.getByLabel('Idempotency key').fill('key-1');
		await console.page.getByLabel('Wait until it is written').check();
		const sent = nextPublish(console.page);
		await console.publish('both', {channel: 'one, two'});
		const {url, body} = await sent;
		assert.deepEqual([url.search, JSON.parse(body)],
			['?wait=written&idempotency_key=key-1', {channels: ['one', 'two'], message: 'both', ttl: '30s'}]);
		await console.answer('to 2 subscribers, written to 2');
		await console.page.getByRole('button', {name: 'Publish', exact: false}).last().click();
		await console.answer('to 2 subscribers, written to 2');
		await server.publish('one', 'later');
		await console.row('later').waitFor();
		assert.deepEqual((await console.contents()).sort(), ['both', 'both', 'later'], 'the same key has published twice');
	});

	it('drops the last answer when what is typed now is wrong, and when the next is sent', async () => {
		const console = await open();
		const answer = console.page.locator('#answer');

		await console.state('Connected');
		await console.publish('{}', {kind: 'JSON'});
		await console.answer('202 Accepted');
		await console.page.getByRole('textbox', {name: 'Message'}).fill('{');
		await console.page.locator('.field-error').filter({hasText: /^Not JSON: /}).waitFor();
		assert.equal(await answer.textContent(), '');
		await console.publish('{}', {kind: 'JSON'});
		await console.answer('202 Accepted');
		let answerIt;
		await console.page.route('**/messages', (route) => {
			answerIt = () => route.continue();
		});
		await console.publish('{}', {kind: 'JSON'});
		await console.answer(/^Publishing/);
		assert.doesNotMatch(await answer.textContent(), /202/);
		answerIt();
		await console.answer('202 Accepted');
	});

	it('again from a row: it goes into the form as it came, and is sent when the reader says so', async () => {
		const console = await open({channels: ['big']});

		await console.state('Connected');
		await console.publish('{"n":12345678901234567890}', {kind: 'JSON'});
		await console.row('1234567890').locator('summary').click();
		await console.page.getByRole('textbox', {name: 'Message'}).fill('0');
		await console.page.getByRole('button', {name: 'Publish again'}).click();
		assert.equal(await console.page.getByRole('textbox', {name: 'Message'}).inputValue(), '{"n":12345678901234567890}');
		assert.equal(await console.page.evaluate(() => document.activeElement.id), 'send');
		const sent = nextPublish(console.page);
		await console.page.keyboard.press('Enter');
		assert.equal((await sent).body, '{"channel":"big","message":{"n":12345678901234567890}}');
	});
});

describe('history', () => {
	it('shows what the server keeps, the newest page first, and pages back to the oldest', async () => {
		const console = await open({channels: ['kept']});
		const {page} = console;
		const first = () => page.locator('#history-rows .row-content').first().textContent();

		await console.state('Connected');
		await server.publishAll('kept', Array.from({length: 2300}, (unused, n) => n));
		await page.getByRole('group', {name: 'Messages shown'}).getByLabel('History').check();
		await page.getByText('300 messages, page 3 of 3').waitFor();
		assert.equal(await first(), '2299');
		await page.getByRole('button', {name: 'Older'}).click();
		await page.getByText('1,000 messages, page 2 of 3').waitFor();
		assert.equal(await first(), '1999');
		await page.getByRole('button', {name: 'Older'}).click();
		await page.getByText('page 1 of 3').waitFor();
		assert.equal(await first(), '999');
		assert.ok(await page.getByRole('button', {name: 'Older'}).isDisabled());
		await page.getByRole('button', {name: 'Newer'}).click();
		await page.getByText('page 2 of 3').waitFor();
		assert.ok(await page.locator('#history-rows > li').count() < 100, 'too many rows are built');
		await server.publishAll('kept', ['meanwhile', 'in a hidden list', 'of messages']);
		await console.figure('Messages', '2,303');
		await page.getByRole('group', {name: 'Messages shown'}).getByLabel('Live').check();
		await console.row('of messages').waitFor();
		// each row is as high as all, also those that were hidden
		const heights = await page.locator('#rows').evaluate((rows) =>
			[rows.offsetHeight, rows.firstChild.offsetHeight * rows.firstChild.getAttribute('aria-setsize')]);
		assert.equal(heights[0], heights[1]);
	});

	it('that there is none is said with the server\'s words', async () => {
		const {error} = await (await fetch(`${other.origin}/messages?channel=x`)).json();
		const console = await Console.open(browser, other);

		console_ = console;
		await console.page.getByRole('group', {name: 'Messages shown'}).getByLabel('History').check();
		await console.page.locator('#history-empty-text').filter({hasText: `404 Not Found: ${error}`}).waitFor();
	});
});

it('exports the messages that the filter lets through, a line each, as they came', async () => {
	const console = await open({channels: ['x', 'y']});

	await console.state('Connected');
	await console.publish('{"n":12345678901234567890}', {kind: 'JSON', channel: 'x'});
	await console.row('123').waitFor();
	await server.publish('y', 'left out');
	await server.publish('x', 'text');
	await console.row('text').waitFor();
	await console.page.getByLabel('Filter').fill('x');
	await console.page.getByText('2 of 3').waitFor();
	const download = console.page.waitForEvent('download');
	await console.page.getByRole('button', {name: 'Export'}).click();
	const file = await download;
	const lines = readFileSync(await file.path(), 'utf8').trim().split('\n');
	assert.match(file.suggestedFilename(), /^push-.*\.ndjson$/);
	assert.equal(lines.length, 2);
	assert.match(lines[0], /^\{"channel":"x","message":\{"n":12345678901234567890\},"id":"[^"]+","received":"[^"]+"\}$/);
	assert.equal(JSON.parse(lines[1]).message, 'text');
});

describe('the server\'s figures', () => {
	async function show({page}, url) {
		await page.getByText('Server figures').click();
		await page.getByLabel('Management port').fill(url);
		await page.getByRole('button', {name: 'Show', exact: true}).click();
	}

	it('are shown if the management port allows this page', async () => {
		const console = await open();

		await console.state('Connected');
		await show(console, `http://127.0.0.1:${server.managementPort}/`);
		const figure = (name) => console.page.locator('dt').filter({hasText: name}).locator('+ dd');
		await figure('WebSocket clients').filter({hasText: /^1$/}).waitFor();
		await figure('Sent to clients').filter({hasText: /^\d+ a second$/}).waitFor();
	});

	it('come with the channels with the most subscribers, if the server lists them', async () => {
		const console = await open({channels: ['busy', '<b>quiet</b>']});
		const listed = () => console.page.getByRole('region', {name: 'Channels with the most subscribers'}).getByRole('row').allInnerTexts();

		await console.state('Connected');
		const context = await browser.newContext();
		await (await context.newPage()).goto(`${server.origin}/#channels=busy&transport=sse`);
		await show(console, `http://127.0.0.1:${server.managementPort}`);
		await console.page.getByRole('row', {name: 'busy 2'}).waitFor();
		assert.deepEqual(await listed(), ['Channel\tSubscribers', 'busy\t2', '<b>quiet</b>\t1']);
		await context.close();
		await console.page.getByRole('row', {name: 'busy 1'}).waitFor();
		await console.page.getByRole('button', {name: 'Stop', exact: true}).click();
		await console.page.locator('#channel-list').waitFor({state: 'hidden'});
	});

	it('come without channels unless an operator allows their names, and the console says how', async () => {
		const plain = await Server.start({}, {isOpen: true});

		console_ = await Console.open(browser, plain);
		await show(console_, `http://127.0.0.1:${plain.managementPort}`);
		await console_.page.getByText('channels are not listed here; push.channels.list=on switches the list on').waitFor();
		await console_.page.locator('dt').filter({hasText: 'WebSocket clients'}).waitFor();
		assert.ok(await console_.page.locator('#channel-list').isHidden());
		await plain.stop();
	});

	it('are closed to pages unless an operator opens them, and the console says so', async () => {
		const console = await open();

		await show(console, `http://127.0.0.1:${other.managementPort}`);
		await console.page.getByText('cannot reach the server, or it does not allow pages from here').waitFor();
	});
});

it('a burst of 10,000 messages leaves the page responsive: few rows are built, and typing goes on', async (t) => {
	const console = await open({channels: ['burst']});
	const {page} = console;

	await console.state('Connected');
	await page.evaluate(() => {
		window.tasks = [];
		window.rowsMost = 0;
		window.order = '';	// of what was done: m - messages were shown, k - a key was handled
		new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((entry) => entry.duration)))
			.observe({type: 'longtask'});
		new MutationObserver(() => {
			window.rowsMost = Math.max(window.rowsMost, document.getElementById('rows').childElementCount);
			window.order += 'm';
		}).observe(document.getElementById('rows'), {childList: true});
		document.getElementById('message').addEventListener('input', () => {
			window.order += 'k';
		});
	});
	const field = page.getByRole('textbox', {name: 'Message'});
	await field.fill('');
	await field.focus();
	let typed = '';
	let order = '';
	// a machine may be so quick that all come between two keys
	for (let burst = 1; burst <= 5 && !/mk+m/.test(order); burst++) {
		const published = server.publishAll('burst', Array.from({length: 10_000}, (unused, n) => ({burst, n})));
		const last = console.row(`"burst": ${burst}, "n": 9999}`);
		while (!await last.isVisible()) {
			await page.keyboard.press('a');
			typed += 'a';
		}
		await published;
		order = await page.evaluate(() => window.order);
	}
	const [tasks, rows] = await page.evaluate(() => [window.tasks, window.rowsMost]);
	t.diagnostic(`longest task: ${Math.round(Math.max(0, ...tasks))} ms (below 50 none is known); rows at most: ${rows}; ${order}`);
	assert.equal(await field.inputValue(), typed);
	assert.match(order, /mk+m/, 'no key was handled while messages came');
	assert.ok(rows <= 150, `${rows} rows are built`);
	assert.equal(await page.locator('#shown').textContent(), '10,000 messages');
});

it('on a phone the first message is in sight without scrolling', async () => {
	const console = await open({viewport: {width: 360, height: 740}, hasTouch: true, isMobile: true});

	await console.state('Connected');
	await console.publish('look');
	await console.page.evaluate(() => scrollTo(0, 0));
	const {y, height} = await console.row('look').boundingBox();
	assert.ok(y + height < 740, `it is at ${y}`);
	const order = await console.page.evaluate(() => document.getElementById('messages')
		.compareDocumentPosition(document.getElementById('subscribe')) & Node.DOCUMENT_POSITION_FOLLOWING);
	assert.ok(order, 'the Tab key goes another way than the eye');
});
