/*
 * list.js - a list of any length, of which only the rows in sight are in the document.
 *
 *     entries, oldest first     [ o o o o o o o o o o ]
 *     on the page, newest first            [ built ]        and the row that has the focus
 *
 * Every row is as high as the style sheet says (--row-height), except those that are measured otherwise: an unfolded
 * row, or a long note.  A row's place is its number from the top times that height, and what the measured ones above
 * it have more.  So a thousand new entries cost what twenty do.
 *
 * The list is one stop for the Tab key; the arrow keys go from one row to the next.
 */

/* Rows are built this far outside of what is seen, so that scrolling shows no hole. */
const BEYOND_PX = 240;

export class List {
	#entries = [];			// oldest first; entry.place numbers them without a hole
	#built = new Map();		// entry -> row
	#heights = new Map();		// entry -> height, of rows with a height of their own
	#owners = new WeakMap();	// row -> entry
	#rowHeight = 0;
	#top = 0;			// kept, since to ask the scroller costs a layout
	#viewHeight = 0;
	#current = null;		// the Tab key's stop
	#scroller;
	#rows;
	#build;
	#sizes = new ResizeObserver((changes) => this.#onSizes(changes));

	/* `build(entry)` makes a row; entry.isNote: it cannot be unfolded.  `scrolled()` is called after each scroll. */
	constructor(scroller, rows, build, scrolled = () => {}) {
		this.#scroller = scroller;
		this.#rows = rows;
		this.#build = build;
		rows.addEventListener('keydown', (event) => this.#onKey(event));
		rows.addEventListener('focusin', ({target}) => this.#setCurrent(this.#owners.get(target.closest('.row'))));
		scroller.addEventListener('scroll', () => {
			this.#top = scroller.scrollTop;
			this.#render();
			scrolled();
		}, {passive: true});
		this.#sizes.observe(scroller);
	}

	get length() {
		return this.#entries.length;
	}

	/* All of them, oldest first. */
	get entries() {
		return [...this.#entries];
	}

	/* Is something newer above what is seen? */
	get isScrolled() {
		return this.#top > 3;
	}

	/* `fresh`, oldest first, go in above; a reader who looks further down keeps the place. */
	append(fresh) {
		const isScrolled = this.isScrolled;

		for (const entry of fresh) {
			entry.place = this.#entries.length ? this.#entries.at(-1).place + 1 : 0;
			this.#entries.push(entry);
		}
		if (isScrolled)
			this.#scrollTo(this.#top + fresh.length * this.#rowHeight);
		else
			this.#render();
	}

	/* `older`, oldest first, go in below all others. */
	extend(older) {
		let place = this.#entries[0]?.place ?? older.length;

		for (const entry of older.toReversed())
			entry.place = --place;
		this.#entries = [...older, ...this.#entries];
		this.#render();
	}

	/* The oldest that fail the test go, up to the first that passes. */
	dropWhile(test) {
		const kept = this.#entries.findIndex((entry) => !test(entry));
		const dropped = this.#entries.splice(0, kept < 0 ? Infinity : kept);

		for (const entry of dropped) {
			this.#heights.delete(entry);
			if (this.#built.get(entry)?.contains(document.activeElement))
				this.#scroller.focus({preventScroll: true});
		}
		if (dropped.length)
			this.#render();
	}

	clear() {
		this.dropWhile(() => true);
		this.toTop();
	}

	toTop() {
		this.#scrollTo(0);
	}

	#scrollTo(top) {
		this.#top = Math.max(0, top);
		this.#render();
		this.#scroller.scrollTop = this.#top;
	}

	#numberOf(entry) {
		return this.#entries.at(-1).place - entry.place;
	}

	#entryAt(number) {
		return this.#entries[this.#entries.length - 1 - number];
	}

	/* [number from the top, how much higher than others], from the top. */
	#exceptions() {
		return [...this.#heights].map(([entry, height]) => [this.#numberOf(entry), height - this.#rowHeight])
			.sort((left, right) => left[0] - right[0]);
	}

	#offsetOf(number, exceptions) {
		let offset = number * this.#rowHeight;

		for (const [other, more] of exceptions) {
			if (other >= number)
				break;
			offset += more;
		}
		return offset;
	}

	/* The number of the row at this offset, or one past the last. */
	#numberAt(offset, exceptions) {
		let low = 0;
		let high = this.#entries.length;

		while (low < high) {
			const middle = (low + high) >> 1;
			if (this.#offsetOf(middle + 1, exceptions) <= offset)
				low = middle + 1;
			else
				high = middle;
		}
		return low;
	}

	/* What is to be in the document, from the top. */
	#wanted(exceptions) {
		const first = this.#numberAt(this.#top - BEYOND_PX, exceptions);
		const last = this.#numberAt(this.#top + this.#viewHeight + BEYOND_PX, exceptions);
		const focused = this.#owners.get(document.activeElement?.closest('.row'));
		const wanted = [];

		for (let number = first; number <= last && number < this.#entries.length; number++)
			wanted.push(this.#entryAt(number));
		if (focused && this.#built.has(focused) && !wanted.includes(focused))
			wanted[this.#numberOf(focused) < first ? 'unshift' : 'push'](focused);
		return wanted;
	}

	#render() {
		if (!this.#rowHeight)
			return;
		const exceptions = this.#exceptions();
		const height = this.#offsetOf(this.#entries.length, exceptions);
		// the scroller comes up by itself where the list has become shorter
		this.#top = Math.min(this.#top, Math.max(0, height - this.#viewHeight));
		const wanted = this.#wanted(exceptions);

		this.#rows.style.height = `${height}px`;
		this.#remove(new Set(wanted));
		let next = this.#rows.firstChild;
		for (const entry of wanted) {
			const row = this.#built.get(entry) ?? this.#make(entry);
			const number = this.#numberOf(entry);

			row.style.top = `${this.#offsetOf(number, exceptions)}px`;
			row.setAttribute('aria-posinset', number + 1);
			row.setAttribute('aria-setsize', this.#entries.length);
			// what was there before is in order: it is never moved, which would take its focus
			if (row === next)
				next = next.nextSibling;
			else
				this.#rows.insertBefore(row, next);
		}
		this.#showTabStop(wanted);
	}

	#make(entry) {
		const row = this.#build(entry);

		this.#built.set(entry, row);
		this.#owners.set(row, entry);
		this.#sizes.observe(row);
		return row;
	}

	#remove(kept) {
		for (const [entry, row] of this.#built) {
			if (kept.has(entry))
				continue;
			this.#sizes.unobserve(row);
			this.#built.delete(entry);
			row.remove();
		}
	}

	#onSizes(changes) {
		for (const {target, borderBoxSize: [{blockSize}]} of changes) {
			const entry = this.#owners.get(target);

			if (target === this.#scroller)
				this.#onResize();
			// in a list that is hidden nothing has a height
			else if (!this.#built.has(entry) || !blockSize)
				continue;
			else if (Math.abs(blockSize - this.#rowHeight) > 0.5)
				this.#heights.set(entry, blockSize);
			else
				this.#heights.delete(entry);
		}
		this.#render();
	}

	#onResize() {
		const rowHeight = parseFloat(getComputedStyle(this.#rows).getPropertyValue('--row-height'));

		this.#viewHeight = this.#scroller.clientHeight;
		this.#top = this.#scroller.scrollTop;
		if (rowHeight === this.#rowHeight)
			return;
		this.#rowHeight = rowHeight;
		// measured anew where they are built
		this.#heights.clear();
		for (const row of this.#built.values()) {
			this.#sizes.unobserve(row);
			this.#sizes.observe(row);
		}
	}

	#setCurrent(entry) {
		this.#current = entry;
		this.#showTabStop([...this.#built.keys()]);
	}

	#showTabStop(built) {
		const isSeen = this.#current && built.includes(this.#current);
		const stop = isSeen ? this.#current : built.find((entry) => !entry.isNote);

		for (const entry of built) {
			const summary = this.#built.get(entry).querySelector('summary');
			if (summary)
				summary.tabIndex = entry === stop ? 0 : -1;
		}
	}

	/* From an entry on, that one included: the next that can be unfolded. */
	#search(number, step) {
		let entry = this.#entryAt(number);

		while (entry?.isNote) {
			number += step;
			entry = this.#entryAt(number);
		}
		return entry;
	}

	#onKey(event) {
		const entry = event.target.matches('summary') && this.#owners.get(event.target.closest('.row'));
		const number = entry && this.#numberOf(entry);
		const target = entry && {
			ArrowDown: () => this.#search(number + 1, 1), ArrowUp: () => this.#search(number - 1, -1),
			Home: () => this.#search(0, 1), End: () => this.#search(this.#entries.length - 1, -1),
		}[event.key]?.();

		if (!target)
			return;
		event.preventDefault();
		this.#focus(target);
	}

	#focus(entry) {
		const exceptions = this.#exceptions();
		const number = this.#numberOf(entry);
		const top = this.#offsetOf(number, exceptions);
		const bottom = this.#offsetOf(number + 1, exceptions);

		if (top < this.#top)
			this.#scrollTo(top);
		else if (bottom > this.#top + this.#viewHeight)
			this.#scrollTo(Math.min(top, bottom - this.#viewHeight));
		this.#built.get(entry).querySelector('summary').focus({preventScroll: true});
	}
}
