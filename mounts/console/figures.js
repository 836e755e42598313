/*
 * figures.js - the server's own figures, from the operators' port.
 *
 * That port answers pages of another origin only if an operator allows it, with a header of its own in
 * conf.d/20-management.  Nothing is asked before someone types its URL.
 */
import {parseServer} from './address.js';
import {byId, element, setText} from './dom.js';
import {formatBytes, formatCount, formatDuration} from './format.js';
import {fetchAnswer} from './request.js';

const EVERY_MS = 2000;
const METRICS = '/actuator/prometheus';

/* The lines of Prometheus' text format: name -> sum over all labels. */
export function readMetrics(text) {
	const sums = new Map();

	for (const line of text.split('\n')) {
		const [, name, value] = /^([a-zA-Z_:][\w:]*)(?:\{.*\})? (\S+)/.exec(line) ?? [];
		if (name)
			sums.set(name, (sums.get(name) ?? 0) + Number(value));
	}
	return sums;
}

function rate(name, now, last) {
	const seconds = last && (now.at - last.at) / 1000;

	return seconds ? `${formatCount(Math.round(((now.sums.get(name) ?? 0) - (last.sums.get(name) ?? 0)) / seconds))} a second` : '–';
}

/* [label, value] of each row; `last` is the reading before, null for none. */
export function figuresOf(now, last) {
	const sum = (name) => now.sums.get(name) ?? 0;

	return [
		['WebSocket clients', formatCount(sum('ws_connections_count'))],
		['EventSource clients', formatCount(sum('sse_connections_count'))],
		['Channels with subscribers', formatCount(sum('push_channels'))],
		['Subscriptions', formatCount(sum('push_subscriptions'))],
		['Published', rate('pub_messages_total', now, last)],
		['Sent to clients', rate('push_messages_sent_total', now, last)],
		['Waiting for slow clients', formatBytes(sum('push_outbox_bytes'))],
		['Kept as history', `${formatCount(sum('push_history_messages'))}, ${formatBytes(sum('push_history_bytes'))}`],
		['Memory', formatBytes(sum('process_resident_memory_bytes'))],
		['Workers', formatCount(sum('push_workers'))],
		['Running for', formatDuration(Date.now() - sum('process_start_time_seconds') * 1000)],
	];
}

function show(now, last) {
	byId('server-figures').replaceChildren(...figuresOf(now, last).flatMap(([label, value]) => [
		element('dt', {textContent: label}), element('dd', {textContent: value})]));
}

export function initFigures() {
	let timer = 0;
	let url = '';
	let last = null;

	const read = async (asked) => {
		const answer = await fetchAnswer(`${asked}${METRICS}`);
		if (asked !== url)
			return;
		if (answer.ok) {
			const now = {sums: readMetrics(answer.text), at: performance.now()};
			show(now, last);
			last = now;
		}
		setText(byId('management-error'), answer.ok ? '' : `${answer.status}: ${answer.error}`);
		timer = setTimeout(read, EVERY_MS, asked);
	};
	const stop = () => {
		clearTimeout(timer);
		url = '';
		last = null;
		byId('server-figures').replaceChildren();
	};

	byId('management-form').addEventListener('submit', (event) => {
		event.preventDefault();
		const {server, error} = parseServer(byId('management').value);
		const isOther = server && server !== url;
		stop();
		setText(byId('management-error'), error ?? '');
		// the same one again: enough seen
		setText(byId('management-show'), isOther ? 'Stop' : 'Show');
		if (!isOther)
			return;
		url = server;
		read(url);
	});
}
