/*
 * history.js - the messages that the server keeps of a channel, a page at a time, the newest page first.
 *
 * The server reads forwards only.  So the first look goes from the oldest message to the newest, keeps the id that
 * each page begins after, and shows the last page; to page back is to read from an id that is known.
 *
 *     after:   ''        id 1      id 2
 *              [ page 1 ][ page 2 ][ page 3 ]   <- shown first
 */
import {historyUrl} from './address.js';
import {byId, setText} from './dom.js';
import {formatCount, plural} from './format.js';
import {elementSources} from './json.js';
import {List} from './list.js';
import {messageRow} from './rows.js';
import {fetchAnswer} from './request.js';

/* The most that the server gives in one answer, which it ends at 256 kB. */
const PAGE_MESSAGES = 1000;

/* More is read only if the server keeps more than it can. */
const PAGES_MAX = 2000;

export class History {
	#server;
	#token;
	#list;
	#channel = '';
	#after = [''];		// what each page begins after
	#page = 0;
	#reading = 0;		// a number for each reading, so that an answer that comes too late is known as such

	/* `server()` is the server's URL, `token()` the token for it; `publishAgain(message)`: the reader wants to. */
	constructor(server, token, publishAgain) {
		this.#server = server;
		this.#token = token;
		this.#list = new List(byId('history-feed'), byId('history-rows'), (entry) => messageRow(entry, publishAgain));
		byId('history').addEventListener('submit', (event) => {
			event.preventDefault();
			this.read(byId('history-channel').value);
		});
		byId('older').addEventListener('click', () => this.#readPage(this.#page - 1));
		byId('later').addEventListener('click', () => this.#readPage(this.#page + 1));
		this.#showButtons();
	}

	/* From the oldest message to the newest; shows the last page. */
	async read(channel) {
		const reading = ++this.#reading;
		let count = 0;
		let after = [''];
		let page;

		this.#channel = channel;
		this.#list.clear();
		this.#say('Reading', '');
		do {
			page = await this.#fetch(channel, after.at(-1));
			if (reading !== this.#reading)
				return;
			if (page.error) {
				after = [''];
				break;
			}
			count += page.messages.length;
			if (page.more) {
				after.push(page.id);
				this.#say('Reading', `${formatCount(count)} so far`);
			}
		} while (page.more && after.length < PAGES_MAX);
		this.#after = after;
		this.#page = after.length - 1;
		this.#show(page);
	}

	/* One that is known; behind the last one it goes on if there is more now. */
	async #readPage(number) {
		const reading = ++this.#reading;
		const page = await this.#fetch(this.#channel, this.#after[number]);

		if (reading !== this.#reading)
			return;
		this.#page = number;
		if (page.more)
			this.#after[number + 1] ??= page.id;
		this.#show(page);
	}

	/* {messages, more, id, missed}, or {error} */
	async #fetch(channel, after) {
		const answer = await fetchAnswer(historyUrl(this.#server(), channel, after, PAGE_MESSAGES), {token: this.#token()});

		if (!answer.ok)
			return {error: `${answer.status}: ${answer.error}`};
		const sources = elementSources(answer.text, ['messages']);
		return {
			...answer.body,
			messages: answer.body.messages.map(({message, id}, index) => ({
				channel, value: message, id, source: sources[index], path: ['message'], latency: null, isNote: false,
			})),
		};
	}

	/* What has expired since the first look makes a page begin later: it ends all the same where the next begins. */
	#show({messages = [], missed, error}) {
		const next = this.#after[this.#page + 1];
		const end = messages.findIndex(({id}) => id === next);

		this.#list.clear();
		this.#list.append(end < 0 ? messages : messages.slice(0, end + 1));
		if (error)
			this.#say('Not read', error);
		else if (!messages.length)
			this.#say('Nothing is kept', `The server keeps messages of ${this.#channel}, and there is none now.`);
		else
			this.#say('', this.#facts(missed));
		this.#showButtons();
	}

	#facts(missed) {
		const gone = missed ? `; ${typeof missed === 'number' ? plural(missed, 'message') : 'messages'} before them expired` : '';
		const pages = this.#after.length > 1 ? `, page ${this.#page + 1} of ${this.#after.length}` : '';

		return `${plural(this.#list.length, 'message')}${pages}${gone}`;
	}

	/* A title takes the list's place. */
	#say(title, text) {
		byId('history-empty').hidden = !title;
		setText(byId('history-empty-title'), title);
		setText(byId('history-empty-text'), title && text);
		setText(byId('history-shown'), title || text);
	}

	#showButtons() {
		byId('older').disabled = this.#page === 0;
		byId('later').disabled = this.#page === this.#after.length - 1;
	}
}
