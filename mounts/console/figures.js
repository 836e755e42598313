/*
 * figures.js - the server's own figures, and its channels, from the management port.
 *
 * That port answers pages of another origin only if an operator allows it, with a header of its own in
 * conf.d/20-management, and lists channels only where push.channels.list is on.  Nothing is asked before
 * someone types its URL.
 */
import {parseServer} from './address.js';
import {byId, element, setText} from './dom.js';
import {formatBytes, formatCount, formatDuration} from './format.js';
import {fetchAnswer} from './request.js';

const EVERY_MS = 2000;
const METRICS = '/actuator/prometheus';
const CHANNELS = '/actuator/channels';
/* As many are listed at most (plugins/core/ranking.h). */
const CHANNELS_MAX = 100;

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

/* What is said above the list: of the body of an answer, or of the error in place of one. */
export function channelsHint({ok, body, error}) {
	if (!ok)
		return error;
	if (!body.complete)
		return 'Looking at all channels';
	if (!body.channels.length)
		return 'No channel has subscribers';
	return body.channels.length < CHANNELS_MAX ? '' : `The ${CHANNELS_MAX} channels with the most subscribers`;
}

/* The rows stay while nothing changes: a reader may have marked some text in them. */
function showChannels(answer, last) {
	setText(byId('channel-list-hint'), channelsHint(answer));
	byId('channel-list').hidden = !answer.ok || !answer.body.channels.length;
	if (answer.ok && answer.text !== last?.text)
		byId('channel-list-rows').replaceChildren(...answer.body.channels.map(({channel, subscribers}) => element('tr', {},
			element('th', {scope: 'row', className: 'mono', textContent: channel, title: channel}),
			element('td', {textContent: formatCount(subscribers)}))));
}

export function initFigures() {
	let timer = 0;
	let url = '';
	let last = null;
	let lastChannels = null;

	const read = async (asked) => {
		const [answer, channels] = await Promise.all([METRICS, CHANNELS].map((path) => fetchAnswer(asked + path)));
		if (asked !== url)
			return;
		if (answer.ok) {
			const now = {sums: readMetrics(answer.text), at: performance.now()};
			show(now, last);
			last = now;
			showChannels(channels, lastChannels);
			lastChannels = channels;
		}
		setText(byId('management-error'), answer.ok ? '' : `${answer.status}: ${answer.error}`);
		timer = setTimeout(read, EVERY_MS, asked);
	};
	const stop = () => {
		clearTimeout(timer);
		url = '';
		last = null;
		lastChannels = null;
		byId('server-figures').replaceChildren();
		setText(byId('channel-list-hint'), '');
		byId('channel-list').hidden = true;
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
