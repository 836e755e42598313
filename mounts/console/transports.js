/*
 * transports.js - WebSocket and EventSource behind one face.
 *
 * connect() opens one connection and never a second: whoever calls it decides what follows an end.  It reports
 *   on.event(name, data, source)   name is `beat`, `message`, `reconnect` or `gap`; source the text that it came in
 *   on.end({reason, words, refused, waitMs})   once, at most
 *       words: the server's own, where it said any; refused: trying the same again would be no use
 * and returns {close()}, after which nothing is reported any more.
 *
 * A browser reconnects an EventSource by itself, after a time of its own and without a word.  Here it is closed at
 * its first error instead, so that both transports behave, and look, the same.
 */
const BEATS = {ping: 'beat', heartbeat: 'beat', message: 'message', reconnect: 'reconnect', gap: 'gap'};

/* Why a WebSocket ended (RFC 6455, 7.4.1).  Refused: the client is at fault, and would be again. */
const CLOSES = {
	1000: {reason: 'closed by the server'},
	1001: {reason: 'ended by the server'},
	1003: {reason: 'the server refused binary', refused: true},
	1006: {reason: 'connection lost'},
	1007: {reason: 'the server refused the message', refused: true},
	1008: {reason: 'refused by the server', refused: true},
	1009: {reason: 'the message was too large', refused: true},
	1013: {reason: 'too slow for its messages'},
};

function parse(text) {
	try {
		return JSON.parse(text);
	} catch {
		return null;
	}
}

function connectWebSocket(url, on) {
	const socket = new WebSocket(url);
	let opened = false;
	let words = null;

	socket.onopen = () => {
		opened = true;
	};
	socket.onmessage = ({data: source}) => {
		const frame = parse(source);

		if (typeof frame?.error === 'string')
			words = frame.error;
		if (frame?.event === 'ping')
			socket.send('{"event":"pong"}');
		if (BEATS[frame?.event])
			on.event(BEATS[frame.event], frame.data, source);
	};
	socket.onclose = ({code}) => {
		const {reason, refused = false} = CLOSES[code] ?? {reason: `closed with code ${code}`};

		on.end({reason: opened ? reason : 'cannot connect', words, refused, waitMs: 0});
	};
	return {
		close() {
			socket.onopen = socket.onmessage = socket.onclose = null;
			socket.close();
		},
	};
}

/* An EventSource keeps an answer that is no stream to itself: ask again for the words in it. */
async function askWhy(url, signal) {
	const unknown = {reason: 'cannot connect', words: null, refused: false, waitMs: 0};

	try {
		const answer = await fetch(url, {headers: {Accept: 'text/event-stream'}, signal});
		if (answer.ok) {
			await answer.body?.cancel();
			return unknown;
		}
		const error = parse(await answer.text())?.error;
		return {
			reason: `answered with status ${answer.status}`,
			words: typeof error === 'string' ? error : null,
			refused: answer.status >= 400 && answer.status < 500,
			waitMs: Number(answer.headers.get('Retry-After') ?? 0) * 1000 || 0,
		};
	} catch {
		return unknown;
	}
}

function connectEventSource(url, on) {
	const source = new EventSource(url);
	const asking = new AbortController();
	let opened = false;

	for (const [name, event] of Object.entries(BEATS))
		source.addEventListener(name, ({data}) => on.event(event, parse(data), data));
	source.onopen = () => {
		opened = true;
	};
	source.onerror = async () => {
		source.close();
		if (opened) {
			on.end({reason: 'the stream ended', words: null, refused: false, waitMs: 0});
			return;
		}
		const outcome = await askWhy(url, asking.signal);
		if (!asking.signal.aborted)
			on.end(outcome);
	};
	return {
		close() {
			source.onerror = null;
			source.close();
			asking.abort();
		},
	};
}

export function connect(transport, url, on) {
	return transport === 'ws' ? connectWebSocket(url, on) : connectEventSource(url, on);
}
