/* The console for everyone: with a keyboard, with a screen reader, on a phone, in dark and light. */
import assert from 'node:assert/strict';
import {mkdirSync, readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {join, resolve} from 'node:path';
import {after, afterEach, before, describe, it} from 'node:test';
import {fileURLToPath} from 'node:url';
import {Console, launch} from './harness/browser.js';
import {Server} from './harness/server.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const ARTEFACTS = process.env.TEST_ARTEFACTS ??
	resolve(fileURLToPath(import.meta.url), '../../../build/browser');
const PHONE = {viewport: {width: 360, height: 740}, hasTouch: true, isMobile: true, deviceScaleFactor: 2};

let server, browser, console_;

before(async () => {
	// a browser on a busy machine may be slow to read many messages, and is not to be closed for it
	server = await Server.start({PUSH_CLIENT_QUEUE_MAX_SIZE: '16mb'});
	browser = await launch();
});
after(async () => {
	await browser?.close();
	await server?.stop();
});
afterEach(async () => {
	await console_?.close();
	console_ = null;
});

async function open(options) {
	console_ = await Console.open(browser, server, options);
	return console_;
}

/* A console with some of everything in it. */
async function openBusy(options) {
	const console = await open({channels: ['orders', 'chat', 'prices', 'a.rather.long.channel.name.without.spaces'], ...options});

	await console.state('Connected');
	await server.publish('orders', {id: 7, items: ['tea', 'coffee'], paid: true, note: null});
	await server.publish('chat', 'A message that is much too long for one line on a phone, and for most others, too');
	await server.publish('chat', 'x'.repeat(400));
	await server.publish('a.rather.long.channel.name.without.spaces', {[`${'k'.repeat(90)}`]: 'v'.repeat(200)});
	await server.publish('prices', 1.0825);
	await console.publish('{"mine": true}', {kind: 'JSON'});
	await console.row('mine').waitFor();
	await console.answer('202 Accepted');
	// from below: an unfolded row may push those below it out of sight
	for (const text of ['tea', 'xxx', '1.0825', 'mine'])
		await console.row(text).locator('summary').click();
	for (const id of ['subscribe-more', 'publish-more', 'snippets', 'figures'])
		await console.page.locator(`#${id}`).evaluate((details) => {
			details.open = true;
		});
	return console;
}

/* The states that look different from a page that is doing well. */
const STATES = {
	'with messages': async () => {},
	'with errors': async ({page}) => {
		await page.getByLabel('JSON', {exact: true}).check();
		await page.getByRole('textbox', {name: 'Message'}).fill('{');
		await page.locator('#channels').fill('a,,b');
		await page.getByRole('button', {name: 'Subscribe'}).click();
		await page.getByText('The server says:').waitFor();
	},
	'paused and filtered': async ({page}) => {
		await page.getByRole('button', {name: 'Pause'}).click();
		await page.getByRole('button', {name: 'Resume'}).waitFor();
		await page.getByLabel('Filter').fill('nothing like that');
		await page.getByText('Nothing matches').waitFor();
	},
	'reading history': async ({page}) => {
		await page.getByRole('group', {name: 'Messages shown'}).getByLabel('History').check();
		await page.getByText('404 Not Found: ').waitFor();
		await page.getByLabel('Management port').fill('not a URL');
		await page.getByRole('button', {name: 'Show', exact: true}).click();
		await page.getByText('must be a URL').waitFor();
	},
	'while reconnecting': async ({page}) => {
		// the page's own way back is blocked, so that the other tests keep their server
		await page.route('**/sse/messages*', (route) => route.abort());
		await page.getByRole('group', {name: 'Transport'}).getByLabel('EventSource').check();
		await page.getByText(/^Trying again in/).waitFor();
	},
};

for (const [state, enter] of Object.entries(STATES)) {
	for (const colorScheme of ['dark', 'light']) {
		it(`axe finds nothing to object to: ${colorScheme}, ${state}`, async () => {
			const console = await openBusy({colorScheme});

			await enter(console);
			await console.page.evaluate(AXE);
			const {violations, passes} = await console.page.evaluate(() => window.axe.run());
			const found = violations.flatMap(({id, help, nodes}) =>
				nodes.map((node) => `${id}: ${help}: ${node.html.slice(0, 120)} ${node.failureSummary}`));
			assert.deepEqual(found, []);
			assert.ok(passes.length > 20, 'axe looked at nothing');
		});
	}

	it(`nothing is wider than a screen of 360 pixels: ${state}`, async () => {
		const console = await openBusy(PHONE);

		await enter(console);
		const wide = await console.page.evaluate(() => [...document.body.querySelectorAll('*')]
			.filter((node) => node.getBoundingClientRect().right > innerWidth + 0.5 && !node.closest('.activity, pre, .row-content, [class*=hidden]'))
			.map((node) => node.outerHTML.slice(0, 120)));
		assert.deepEqual(wide, []);
		assert.equal(await console.page.evaluate(() => document.documentElement.scrollWidth), 360);
	});
}

describe('with a keyboard alone', () => {
	it('one can subscribe, publish, read and unfold a message', async () => {
		const console = await open();
		const {keyboard} = console.page;
		const focused = () => console.page.evaluate(() => {
			const {activeElement: node} = document;
			return node.labels?.[0]?.innerText.split('\n')[0].trim() || node.getAttribute('aria-label') || node.innerText.trim();
		});
		const order = [];
		const tabTo = async (name) => {
			for (let n = 0; n < 12; n++) {
				await keyboard.press('Tab');
				order.push(await focused());
				if (order.at(-1).startsWith(name))
					return;
			}
			assert.fail(`no way to ${name}: ${order.join(' > ')}`);
		};

		await console.state('Connected');
		await tabTo('Skip to messages');
		await tabTo('Channels');
		await keyboard.press('Control+A');
		await keyboard.type('keys');
		await keyboard.press('Enter');
		await console.page.waitForURL('**/#channels=keys&transport=ws');
		await tabTo('WebSocket');
		await keyboard.press('ArrowRight');
		await console.page.getByText(/^EventSource, for /).waitFor();
		await tabTo('Message');
		await keyboard.press('Control+A');
		await keyboard.type('typed');
		await keyboard.press('Control+Enter');
		await console.row('typed').waitFor();
		await server.publish('keys', {second: 2});
		await console.row('second').waitFor();
		await tabTo('Filter messages');
		await tabTo('Message list');
		await keyboard.press('Tab');
		assert.match(await focused(), /second/);
		await keyboard.press('ArrowDown');
		assert.match(await focused(), /typed/);
		await keyboard.press('ArrowUp');
		assert.match(await focused(), /second/);
		await keyboard.press('Enter');
		await console.row('second').locator('pre').waitFor();
		await keyboard.press('End');
		assert.match(await focused(), /typed/);
	});

	it('the focus is always seen', async () => {
		const console = await openBusy();
		const unseen = [];

		for (let n = 0; n < 24; n++) {
			await console.page.keyboard.press('Tab');
			const bare = await console.page.evaluate(() => {
				const {activeElement: node} = document;
				// a radio button is drawn by the text beside it
				const drawn = node.type === 'radio' ? node.nextElementSibling : node;
				const {outlineStyle, outlineWidth} = getComputedStyle(drawn);
				return node === document.body || (outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2)
					? null : node.outerHTML.slice(0, 100);
			});
			if (bare)
				unseen.push(bare);
		}
		assert.deepEqual(unseen, []);
	});

	it('"Skip to messages" leads there, and leaves the address as it is', async () => {
		const console = await open();
		const address = console.page.url();

		await console.page.keyboard.press('Tab');
		await console.page.keyboard.press('Enter');
		assert.equal(await console.page.evaluate(() => document.activeElement.id), 'messages');
		assert.equal(console.page.url(), address);
	});

	it('the list keeps its focus when the row that has it is dropped', async () => {
		const console = await open();

		await console.state('Connected');
		await server.publish('demo', 'the first');
		await console.row('the first').locator('summary').focus();
		await server.publishAll('demo', Array.from({length: 10_050}, (unused, n) => n));
		await console.row('10049').waitFor();
		assert.equal(await console.page.evaluate(() => document.activeElement.id), 'feed');
	});
});

describe('with a screen reader', () => {
	it('a flood of messages is summed up, and the connection\'s state is said', async () => {
		const console = await open();

		await console.state('Connected');
		await console.page.evaluate(() => {
			const announcer = document.querySelector('[aria-live=polite]');
			window.said = [];
			new MutationObserver(() => window.said.push(announcer.textContent)).observe(announcer, {childList: true});
		});
		for (let n = 0; n < 100; n++)
			await server.publish('demo', n);
		await console.row('99').waitFor();
		await console.page.waitForFunction(() => window.said.length > 0);
		await console.page.getByRole('button', {name: 'Disconnect'}).click();
		await console.page.waitForFunction(() => window.said.at(-1) === 'Not connected');
		const said = await console.page.evaluate(() => window.said);
		assert.match(said[0], /^\d+ new messages?$/);
		assert.ok(said.length <= 3, said.join(', '));
	});

	it('the page has its landmarks, and each region a name', async () => {
		const console = await open();

		for (const role of ['banner', 'main'])
			assert.equal(await console.page.getByRole(role).count(), 1, role);
		for (const name of ['Subscribe', 'Publish', 'Messages', 'Message list, newest first'])
			assert.equal(await console.page.getByRole('region', {name, exact: true}).count(), 1, name);
		assert.equal(await console.page.getByRole('heading', {level: 1}).count(), 1);
	});
});

it('nothing moves for those who asked for that', async () => {
	const console = await open({reducedMotion: 'reduce'});

	await console.page.getByText(/^[2-9] beats/).waitFor();
	assert.deepEqual(await console.page.evaluate(() => document.getAnimations().length), 0);
});

it('a picture of it is left in the build folder', async () => {
	mkdirSync(ARTEFACTS, {recursive: true});
	for (const [name, options] of Object.entries({
		'desktop-dark': {colorScheme: 'dark'}, 'phone-light': {colorScheme: 'light', ...PHONE},
	})) {
		const console = await openBusy(options);
		await console.page.screenshot({path: join(ARTEFACTS, `console-${name}.png`), fullPage: name.startsWith('phone')});
		await console.close();
	}
});
