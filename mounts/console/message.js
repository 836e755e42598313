/*
 * message.js - a message as it arrived, and the ways to look at it.
 *
 * Most messages are never looked at closely: what costs something is worked out when it is asked for.
 */
import {memberSource, prettyText} from './json.js';

/* Where the value stands in what the transport brought. */
const PATHS = {ws: ['data', 'message'], sse: ['message']};

export class Message {
	latency = null;		// in ms; null where someone else published it
	#content = null;

	/* `data` is the event's, `source` the text that it came in, `at` when, in ms of the page. */
	constructor(transport, data, source, at) {
		this.transport = transport;
		this.channel = String(data?.channel);
		this.value = data?.message;
		this.source = source;
		this.at = at;
		this.date = new Date();
	}

	get isText() {
		return typeof this.value === 'string';
	}

	/* Equal for equal values. */
	get key() {
		return JSON.stringify(this.value);
	}

	/* The text itself, or the value's JSON as it came. */
	get content() {
		this.#content ??= this.isText ? this.value : memberSource(this.source, PATHS[this.transport]);
		return this.#content;
	}

	get pretty() {
		return this.isText ? this.value : prettyText(this.content);
	}
}
