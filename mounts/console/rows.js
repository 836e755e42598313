/*
 * rows.js - one row of the list: a message that can be unfolded, or a note of what happened to the connection.
 */
import {copyWith} from './copy.js';
import {element} from './dom.js';
import {formatMs, formatTime, plural} from './format.js';
import {appendJson} from './json.js';
import {Message} from './message.js';

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

function previewNode(message) {
	const node = element('span', {className: 'row-content mono'});
	const text = message.content;

	if (!message.isText)
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
	const size = new TextEncoder().encode(message.content).length;

	if (message.isText)
		value.append(message.content);
	else
		appendJson(value, message.content, {pretty: true});
	copyWith(copy, () => message.pretty);
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

/* A Message, or a note as feed.js takes it. */
export function rowOf(entry) {
	return entry instanceof Message ? messageRow(entry) : noteRow(entry);
}
