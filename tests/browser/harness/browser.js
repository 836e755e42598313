/*
 * browser.js - Chromium, and the console in it as a person uses it: by labels and roles, never by internals.
 */
import {existsSync} from 'node:fs';
import {chromium} from 'playwright-core';

const CHROMIUM = [process.env.TEST_CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
	.find((path) => path && existsSync(path));
const ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking',
	'--disable-component-update', '--disable-default-apps', '--disable-sync', '--no-first-run'];

/* How long anything on the page may take. */
const PATIENCE_MS = 15_000;

export function launch() {
	if (!CHROMIUM)
		throw new Error('no Chromium: apt install chromium, or say where it is in TEST_CHROMIUM');
	return chromium.launch({executablePath: CHROMIUM, args: ARGUMENTS});
}

export class Console {
	/* `options` are a browser context's: viewport, colorScheme and so on. */
	static async open(browser, server, {channels = ['demo'], transport = 'ws', ...options} = {}) {
		const self = new Console();

		self.context = await browser.newContext({viewport: {width: 1280, height: 860}, ...options});
		self.context.setDefaultTimeout(PATIENCE_MS);
		self.page = await self.context.newPage();
		self.faults = [];
		self.page.on('pageerror', (error) => self.faults.push(error.message));
		await self.page.goto(`${server.origin}/#channels=${channels.map(encodeURIComponent).join(',')}` +
			`&transport=${transport}`);
		return self;
	}

	close() {
		return this.context.close();
	}

	/* The state as it is written on the page: Connected, Reconnecting, Refused, … */
	async state(name) {
		await this.page.getByRole('definition').filter({hasText: new RegExp(`^${name}$`)}).waitFor();
	}

	get rows() {
		return this.page.getByRole('list').locator('details');
	}

	row(text) {
		return this.rows.filter({has: this.page.locator('.row-content').filter({hasText: text})});
	}

	/* What is in the rows, the oldest first: of a list of which a part is built, all by scrolling through it. */
	contents(list = 'feed') {
		return this.page.evaluate(async (id) => {
			const scroller = document.getElementById(id);
			const {scrollTop: before} = scroller;
			const found = new Map();
			const drawn = () => new Promise((resolve) => {
				requestAnimationFrame(() => requestAnimationFrame(resolve));
			});

			for (let top = 0; top <= scroller.scrollHeight; top += scroller.clientHeight / 2) {
				scroller.scrollTop = top;
				await drawn();
				// counted from the oldest: newer ones may come in meanwhile
				for (const row of scroller.querySelectorAll('.row:has(.row-content)'))
					found.set(row.getAttribute('aria-setsize') - row.getAttribute('aria-posinset'),
						row.querySelector('.row-content').textContent);
			}
			scroller.scrollTop = before;
			await drawn();
			return [...found].sort(([left], [right]) => left - right).map(([, content]) => content);
		}, list);
	}

	/* Scrolls the list down until the row with this text is in sight. */
	async reveal(pattern) {
		const content = this.page.locator('.row-content').filter({hasText: pattern});

		await this.page.locator('#feed').hover();
		for (const end = Date.now() + PATIENCE_MS; !await content.isVisible() && Date.now() < end;)
			await this.page.mouse.wheel(0, 200);
		await content.scrollIntoViewIfNeeded();
		return content;
	}

	async publish(text, {kind = 'Text', channel} = {}) {
		const form = this.page.getByRole('region', {name: 'Publish'});

		if (channel !== undefined)
			await form.getByLabel('Channel').fill(channel);
		await form.getByLabel(kind, {exact: true}).check();
		await form.getByRole('textbox', {name: 'Message'}).fill(text);
		await form.getByRole('button', {name: 'Publish'}).click();
	}

	/* What the console says about the last publish. */
	answer(text) {
		return this.page.getByRole('region', {name: 'Publish'}).getByRole('status').filter({hasText: text}).waitFor();
	}

	/* Reads a figure's value until it is as wanted. */
	async figure(name, wanted) {
		const figure = this.page.locator('.figure').filter({has: this.page.getByRole('term').filter({hasText: name})});

		await figure.getByRole('definition').first().filter({hasText: wanted}).waitFor();
	}
}
