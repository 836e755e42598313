/*
 * rows.js - what one row of a list shows: a message, or a note about the connection.
 *
 * A message is {channel, value, source, path, id, date, latency, transport}: `source` is the JSON text that it came
 * in, `path` where in there the value is.  A message from history has no date and no transport.
 */
import {element} from './dom.js';
import {copyWith} from './copy.js';
import {formatMs, formatTime, plural} from './format.js';
import {appendJson, memberSource, prettyText} from './json.js';

/* A row shows the beginning; unfolded it shows all. */
const PREVIEW_CHARACTERS = 300;
const HUES = 8;
const TRANSPORTS = {ws: 'WebSocket', sse: 'EventSource'};

/* One colour for a channel, the same in every console. */
function hueOf(channel) {
	let hash = 0;

	for (const character of channel)
		hash = (hash * 31 + character.codePointAt(0)) >>> 0;
	return hash % HUES;
}

/* The JSON text of the value, as it came. */
export function valueSource(message) {
	return memberSource(message.source, message.path);
}

/* What is searched, and cut for the row. */
export function contentOf(message) {
	if (typeof message.value === 'string')
		return message.value;
	return message.content ??= valueSource(message);
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

function smallButton(textContent) {
	return element('button', {className: 'button small', type: 'button', textContent});
}

/* `publishAgain(message)` is called by the button of that name. */
function detailNodes(message, publishAgain) {
	const value = element('pre', {className: 'row-value mono'});
	const size = new TextEncoder().encode(contentOf(message)).length;
	const facts = [plural(size, 'byte'), message.transport && `by ${TRANSPORTS[message.transport]}`,
		message.date?.toISOString(), message.id && `id ${message.id}`];
	const buttons = element('div', {className: 'row-buttons'});
	const add = (label) => {
		const button = smallButton(label);
		buttons.append(button);
		return button;
	};

	if (typeof message.value === 'string')
		value.append(message.value);
	else
		appendJson(value, contentOf(message), {pretty: true});
	copyWith(add('Copy'), () => fullText(message));
	if (message.id)
		copyWith(add('Copy id'), () => message.id);
	add('Publish again').addEventListener('click', () => publishAgain(message));
	return [value, element('div', {className: 'row-facts'},
		...facts.filter(Boolean).map((textContent) => element('span', {textContent})), buttons)];
}

function timeNode(date) {
	return element('time', {
		className: 'row-time', dateTime: date.toISOString(), textContent: formatTime(date, {milliseconds: true}),
	});
}

/* The beginning of an id says little: its end tells messages apart. */
function idNode(id) {
	return element('span', {className: 'row-time row-id', title: id, textContent: id.length > 14 ? `…${id.slice(-13)}` : id});
}

export function messageRow(message, publishAgain) {
	const channel = element('span', {
		className: `row-channel hue-${hueOf(message.channel)}`, textContent: message.channel, title: message.channel,
	});
	const latency = element('span', {
		className: 'row-latency', textContent: message.latency === null ? '' : formatMs(message.latency),
	});
	const summary = element('summary', {tabIndex: -1},
		message.date ? timeNode(message.date) : idNode(message.id), channel, previewNode(message), latency);
	const details = element('details', {open: Boolean(message.isOpen)}, summary);
	const unfold = () => {
		message.isOpen = details.open;
		if (details.open && details.childElementCount === 1)
			details.append(element('div', {className: 'row-detail'}, ...detailNodes(message, publishAgain)));
	};

	unfold();
	details.addEventListener('toggle', unfold);
	return element('li', {className: 'row'}, details);
}

export function noteRow({text, kind, date}) {
	return element('li', {className: `row note ${kind}`}, timeNode(date),
		element('span', {className: 'note-text', textContent: text}));
}
