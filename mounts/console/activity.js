/*
 * activity.js - how many messages came in each of the last seconds, as a number and as bars.
 */
const SECONDS = 60;
const WIDTH = 240;
const HEIGHT = 36;
const SVG = 'http://www.w3.org/2000/svg';

export class Activity {
	#counts = new Array(SECONDS).fill(0);
	#bars;
	#current = 0;

	constructor(svg) {
		const step = WIDTH / SECONDS;

		this.#bars = this.#counts.map((count, index) => {
			const bar = document.createElementNS(SVG, 'rect');
			bar.setAttribute('x', index * step);
			bar.setAttribute('width', step - 1);
			svg.append(bar);
			return bar;
		});
		this.#draw();
	}

	count() {
		this.#current++;
	}

	/* Once a second: returns how many came in it. */
	tick() {
		const rate = this.#current;

		this.#counts.shift();
		this.#counts.push(rate);
		this.#current = 0;
		if (!document.hidden)
			this.#draw();
		return rate;
	}

	#draw() {
		const most = Math.max(4, ...this.#counts);

		for (const [index, bar] of this.#bars.entries()) {
			const height = Math.max(1, this.#counts[index] / most * HEIGHT);
			bar.setAttribute('y', HEIGHT - height);
			bar.setAttribute('height', height);
			bar.classList.toggle('some', this.#counts[index] > 0);
		}
	}
}
