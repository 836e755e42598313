/*
 * feed.js - the list of messages, newest first.
 *
 * Stays fast whatever comes: at most KEPT_MAX entries are kept and shown, and they go into the document in one
 * piece, with the next frame, but not more often than anyone could read.  In a tab in the background no frame is
 * drawn, and what waits is bounded all the same.
 *
 *     add() -> waiting  --flush-->  entries (what the filter works on)  -->  rows
 *               ^ paused: stays here
 *
 * The rows are one stop for the Tab key; the arrow keys go from one to the next.
 */
import {byId, element, setText} from './dom.js';
import {copyWith} from './copy.js';
import {formatCount, formatMs, formatTime, plural} from './format.js';
import {appendJson, memberSource, prettyText} from './json.js';

const KEPT_MAX = 500;
const FLUSH_EVERY_MS = 100;

/* A row shows the beginning; unfolded it shows all. */
const PREVIEW_CHARACTERS = 300;
const HUES = 8;

/* One colour for a channel, the same in every console. */
function hueOf(channel) {
	let hash = 0;

	for (const character of channel)
		hash = (hash * 31 + character.codePointAt(0)) >>> 0;
	return hash % HUES;
}

/* The JSON text of the value, as it came. */
function sourceOf(message) {
	return memberSource(message.source, message.transport === 'ws' ? ['data', 'message'] : ['message']);
}

/* What is searched, and cut for the row. */
function contentOf(message) {
	if (typeof message.value === 'string')
		return message.value;
	return message.content ??= sourceOf(message);
}

function fullText(message) {
	return typeof message.value === 'string' ? message.value : prettyText(contentOf(message));
}

function previewNode(message) {
	const node = element('span', {className: 'row-content mono'});
	const text = contentOf(message);

	if (typeof message.value !== 'string')
		appendJson(node, text.slice(0, PREVIEW_CHARACTERS));
	else if (text)
		node.append(text.slice(0, PREVIEW_CHARACTERS));
	else
		node.append(element('em', {textContent: 'empty text'}));
	if (text.length > PREVIEW_CHARACTERS)
		node.append('…');
	return node;
}

function detailNodes(message) {
	const value = element('pre', {className: 'row-value mono'});
	const copy = element('button', {className: 'button small', type: 'button', textContent: 'Copy'});
	const size = new TextEncoder().encode(contentOf(message)).length;

	if (typeof message.value === 'string')
		value.append(message.value);
	else
		appendJson(value, contentOf(message), {pretty: true});
	copyWith(copy, () => fullText(message));
	return [value, element('div', {className: 'row-facts'},
		element('span', {textContent: plural(size, 'byte')}),
		element('span', {textContent: `by ${message.transport === 'ws' ? 'WebSocket' : 'EventSource'}`}),
		element('span', {textContent: message.date.toISOString()}), copy)];
}

function messageRow(message) {
	const time = element('time', {
		className: 'row-time', dateTime: message.date.toISOString(),
		textContent: formatTime(message.date, {milliseconds: true}),
	});
	const channel = element('span', {
		className: `row-channel hue-${hueOf(message.channel)}`, textContent: message.channel, title: message.channel,
	});
	const latency = element('span', {
		className: 'row-latency', textContent: message.latency === null ? '' : formatMs(message.latency),
	});
	const summary = element('summary', {tabIndex: -1}, time, channel, previewNode(message), latency);
	const details = element('details', {}, summary);

	details.addEventListener('toggle', () => {
		if (details.open && details.childElementCount === 1)
			details.append(element('div', {className: 'row-detail'}, ...detailNodes(message)));
	});
	return element('li', {className: 'row'}, details);
}

function noteRow({text, kind, date}) {
	return element('li', {className: `row note ${kind}`},
		element('time', {
			className: 'row-time', dateTime: date.toISOString(),
			textContent: formatTime(date, {milliseconds: true}),
		}),
		element('span', {className: 'note-text', textContent: text}));
}

export class Feed {
	#entries = [];		// oldest first
	#waiting = [];
	#scheduled = false;
	#flushedAt = 0;
	#paused = false;
	#filter = '';
	#unread = 0;		// above what the reader looks at
	#reading = false;	// scrolled away from the newest; kept, since to ask the scroller costs a layout
	#scroller = byId('feed');
	#rows = byId('rows');

	constructor() {
		this.#rows.addEventListener('keydown', (event) => this.#onKey(event));
		this.#rows.addEventListener('focusin', ({target}) => this.#makeTabStop(target.closest('summary')));
		this.#scroller.addEventListener('scroll', () => this.#onScroll(), {passive: true});
		byId('filter').addEventListener('input', ({target}) => this.#setFilter(target.value));
		byId('pause').addEventListener('click', () => this.#setPaused(!this.#paused));
		byId('clear').addEventListener('click', () => this.clear());
		byId('newer').addEventListener('click', () => {
			this.#scroller.scrollTop = 0;
			this.#scroller.focus();
		});
		this.#showCounts();
	}

	/* {channel, value, source, transport, latency, date} */
	addMessage(message) {
		this.#add({...message, row: messageRow});
	}

	addNote(text, kind, date) {
		this.#add({text, kind, date, row: noteRow});
	}

	clear() {
		this.#entries = [];
		this.#waiting = [];
		this.#render();
	}

	#add(entry) {
		this.#waiting.push(entry);
		// twice as much, so that cutting is rare
		if (this.#waiting.length >= 2 * KEPT_MAX)
			this.#waiting = this.#waiting.slice(-KEPT_MAX);
		if (!this.#scheduled)
			this.#schedule();
	}

	#schedule() {
		const draw = () => requestAnimationFrame(() => this.#flush());
		const wait = this.#flushedAt + FLUSH_EVERY_MS - performance.now();

		this.#scheduled = true;
		if (wait <= 0)
			draw();
		else
			setTimeout(draw, wait);
	}

	#flush() {
		this.#scheduled = false;
		this.#flushedAt = performance.now();
		if (!this.#paused) {
			const fresh = this.#waiting.slice(-KEPT_MAX);
			this.#waiting = [];
			this.#entries = [...this.#entries, ...fresh].slice(-KEPT_MAX);
			this.#insert(fresh);
		}
		this.#showCounts();
	}

	/* Rows go in above; who reads further down keeps the place. */
	#insert(fresh) {
		const matching = fresh.filter((entry) => this.#matches(entry));
		const height = this.#reading ? this.#scroller.scrollHeight : 0;

		if (!matching.length)
			return;
		this.#rows.prepend(...this.#rowsOf(matching));
		if (this.#reading) {
			this.#scroller.scrollTop += this.#scroller.scrollHeight - height;
			this.#unread += matching.length;
		}
		this.#prune();
	}

	#rowsOf(entries) {
		return entries.map((entry) => entry.row(entry)).reverse();
	}

	#prune() {
		const focused = document.activeElement;

		while (this.#rows.childElementCount > KEPT_MAX) {
			if (this.#rows.lastElementChild.contains(focused))
				this.#scroller.focus({preventScroll: true});
			this.#rows.lastElementChild.remove();
		}
		if (!this.#rows.querySelector('summary[tabindex="0"]'))
			this.#makeTabStop(this.#rows.querySelector('summary'));
	}

	/* All anew, after a change of the filter. */
	#render() {
		this.#rows.replaceChildren(...this.#rowsOf(this.#entries.filter((entry) => this.#matches(entry))));
		this.#scroller.scrollTop = 0;
		this.#prune();
		this.#showCounts();
	}

	#matches(entry) {
		if (!this.#filter)
			return true;
		if (entry.row === noteRow)
			return false;
		return entry.channel.toLowerCase().includes(this.#filter) ||
			contentOf(entry).toLowerCase().includes(this.#filter);
	}

	#setFilter(text) {
		this.#filter = text.trim().toLowerCase();
		this.#render();
	}

	#setPaused(paused) {
		this.#paused = paused;
		byId('pause').setAttribute('aria-pressed', String(paused));
		if (!this.#scheduled)
			this.#schedule();
	}

	#showCounts() {
		const messages = this.#entries.filter((entry) => entry.row === messageRow).length;
		const shown = this.#rows.getElementsByTagName('details').length;
		const waiting = this.#waiting.filter((entry) => entry.row === messageRow).length;

		setText(byId('shown'), this.#filter
			? `${formatCount(shown)} of ${formatCount(messages)}`
			: messages === 0 ? '' : plural(messages, 'message'));
		setText(byId('pause'), !this.#paused ? 'Pause' : waiting ? `Resume (${formatCount(waiting)})` : 'Resume');
		byId('empty').hidden = this.#rows.childElementCount > 0;
		setText(byId('empty-title'), this.#filter ? 'Nothing matches' : 'No messages yet');
		setText(byId('empty-text'), this.#filter
			? 'The filter looks at channels and contents.'
			: 'Publish one here, or from a terminal, and watch it arrive.');
		this.#showNewer();
	}

	#onScroll() {
		this.#reading = this.#scroller.scrollTop > 3;
		if (!this.#reading)
			this.#unread = 0;
		this.#showNewer();
	}

	#showNewer() {
		byId('newer').hidden = this.#unread === 0;
		setText(byId('newer'), `↑ ${formatCount(this.#unread)} newer`);
	}

	#makeTabStop(summary) {
		if (!summary)
			return;
		for (const other of this.#rows.querySelectorAll('summary[tabindex="0"]'))
			other.tabIndex = -1;
		summary.tabIndex = 0;
	}

	#onKey(event) {
		const summaries = [...this.#rows.getElementsByTagName('summary')];
		const index = summaries.indexOf(document.activeElement);
		const target = {
			ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: summaries.length - 1,
		}[event.key];

		if (index < 0 || target === undefined || !summaries[target])
			return;
		event.preventDefault();
		summaries[target].focus();
	}
}
