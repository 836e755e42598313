/*
 * feed.js - the live messages: what is kept of them, what the filter lets through, and the list that shows it.
 *
 *     add() -> arrived --flush--> kept --filter--> list
 *                ^ paused: stays here
 *
 * The page stays quick whatever comes: messages go on in one piece, with the next frame, but not more often than
 * anyone could read, and only rows in sight are built (list.js).  Work that grows with the number of messages, which
 * is to filter them, is done in slices with frames in between.  In a tab in the background no frame is drawn, and
 * what has arrived is bounded all the same.
 */
import {byId, setText} from './dom.js';
import {formatCount, plural} from './format.js';
import {List} from './list.js';
import {contentOf, messageRow, noteRow} from './rows.js';

/* The oldest go first. Of text so much that a phone bears it. */
const KEPT_MAX = 10_000;
const KEPT_CHARACTERS_MAX = 16_000_000;
const FLUSH_EVERY_MS = 100;
const SLICE_MS = 10;

export class Feed {
	#kept = [];		// oldest first; entry.number rises
	#arrived = [];
	#number = 0;
	#characters = 0;	// of what is kept
	#messages = 0;		// kept, without notes
	#scheduled = false;
	#flushedAt = 0;
	#paused = false;
	#filter = '';
	#unfiltered = 0;	// so many of what is kept have not been looked at since the filter changed
	#unread = 0;		// above what the reader looks at
	#list;

	/* `publishAgain(message)`: the reader wants to. */
	constructor(publishAgain) {
		this.#list = new List(byId('feed'), byId('rows'),
			(entry) => (entry.isNote ? noteRow(entry) : messageRow(entry, publishAgain)), () => this.#onScroll());
		byId('filter').addEventListener('input', ({target}) => this.#setFilter(target.value));
		byId('pause').addEventListener('click', () => this.#setPaused(!this.#paused));
		byId('clear').addEventListener('click', () => this.clear());
		byId('newer').addEventListener('click', () => {
			this.#list.toTop();
			byId('feed').focus();
		});
		this.#showCounts();
	}

	/* A message as rows.js describes it. */
	addMessage(message) {
		this.#add({...message, isNote: false});
	}

	addNote(text, kind, date) {
		this.#add({text, kind, date, isNote: true});
	}

	/* The messages that the filter lets through, oldest first. */
	get messages() {
		return this.#list.entries.filter((entry) => !entry.isNote);
	}

	clear() {
		this.#kept = [];
		this.#arrived = [];
		this.#characters = this.#messages = this.#unfiltered = this.#unread = 0;
		this.#list.clear();
		this.#showCounts();
	}

	#add(entry) {
		entry.number = this.#number++;
		this.#arrived.push(entry);
		// twice as much, so that cutting is rare
		if (this.#arrived.length >= 2 * KEPT_MAX)
			this.#arrived = this.#arrived.slice(-KEPT_MAX);
		this.#schedule();
	}

	#schedule() {
		const draw = () => requestAnimationFrame(() => this.#flush());
		const wait = this.#unfiltered ? 0 : this.#flushedAt + FLUSH_EVERY_MS - performance.now();

		if (this.#scheduled)
			return;
		this.#scheduled = true;
		if (wait <= 0)
			draw();
		else
			setTimeout(draw, wait);
	}

	#flush() {
		this.#scheduled = false;
		this.#flushedAt = performance.now();
		if (!this.#paused)
			this.#takeArrived();
		if (this.#unfiltered)
			this.#filterOlder();
		this.#showCounts();
		if (this.#unfiltered || (!this.#paused && this.#arrived.length))
			this.#schedule();
	}

	#takeArrived() {
		const until = performance.now() + SLICE_MS;
		const fresh = [];
		let count = 0;

		while (count < this.#arrived.length && (count === 0 || performance.now() < until)) {
			const entry = this.#arrived[count++];
			this.#keep(entry);
			if (this.#matches(entry))
				fresh.push(entry);
		}
		this.#arrived.splice(0, count);
		this.#forget();
		const seen = this.#list.isScrolled ? fresh.length : 0;
		this.#list.append(fresh);
		this.#unread += seen;
		this.#list.dropWhile(({number}) => number < (this.#kept[0]?.number ?? Infinity));
	}

	#keep(entry) {
		this.#kept.push(entry);
		this.#characters += entry.source?.length ?? 0;
		this.#messages += entry.isNote ? 0 : 1;
	}

	#forget() {
		let count = 0;

		while (this.#kept.length - count > KEPT_MAX || this.#characters > KEPT_CHARACTERS_MAX) {
			const {source, isNote} = this.#kept[count++];
			this.#characters -= source?.length ?? 0;
			this.#messages -= isNote ? 0 : 1;
		}
		this.#kept.splice(0, count);
		this.#unfiltered = Math.max(0, this.#unfiltered - count);
	}

	/* From the newest of those that have not been looked at, downwards. */
	#filterOlder() {
		const until = performance.now() + SLICE_MS;
		const found = [];

		do {
			const entry = this.#kept[--this.#unfiltered];
			if (this.#matches(entry))
				found.push(entry);
		} while (this.#unfiltered > 0 && performance.now() < until);
		if (found.length)
			this.#list.extend(found.reverse());
	}

	#matches(entry) {
		if (!this.#filter)
			return true;
		if (entry.isNote)
			return false;
		return entry.channel.toLowerCase().includes(this.#filter) ||
			contentOf(entry).toLowerCase().includes(this.#filter);
	}

	#setFilter(text) {
		this.#filter = text.trim().toLowerCase();
		this.#list.clear();
		this.#unread = 0;
		this.#unfiltered = this.#kept.length;
		this.#flushedAt = 0;
		this.#schedule();
	}

	#setPaused(paused) {
		this.#paused = paused;
		byId('pause').setAttribute('aria-pressed', String(paused));
		this.#schedule();
	}

	#showCounts() {
		const waiting = this.#paused ? this.#arrived.filter((entry) => !entry.isNote).length : 0;

		setText(byId('shown'), this.#filter
			? `${formatCount(this.#list.length)} of ${formatCount(this.#messages)}`
			: this.#messages === 0 ? '' : plural(this.#messages, 'message'));
		setText(byId('pause'), !this.#paused ? 'Pause' : waiting ? `Resume (${formatCount(waiting)})` : 'Resume');
		byId('export').disabled = this.#messages === 0;
		byId('empty').hidden = this.#list.length > 0 || this.#unfiltered > 0;
		setText(byId('empty-title'), this.#filter ? 'Nothing matches' : 'No messages yet');
		setText(byId('empty-text'), this.#filter
			? 'The filter looks at channels and contents.'
			: 'Publish one here, or from a terminal, and watch it arrive.');
		this.#showNewer();
	}

	#onScroll() {
		if (!this.#list.isScrolled)
			this.#unread = 0;
		this.#showNewer();
	}

	#showNewer() {
		byId('newer').hidden = this.#unread === 0;
		setText(byId('newer'), `↑ ${formatCount(this.#unread)} newer`);
	}
}
