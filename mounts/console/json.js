/*
 * json.js - JSON as text, shown as it came.
 *
 * A value that went through JSON.parse is no longer what was sent: 12345678901234567890 becomes another number,
 * a repeated name is gone.  So what is shown is cut from the text itself, token by token, and coloured by kind.
 * The text is known to be JSON: JSON.parse has seen it.
 */
import {element} from './dom.js';

const TOKEN = /\s*(?:([{}[\],:])|("[^"\\]*(?:\\.[^"\\]*)*")|(-?\d[-+.\deE]*)|(true|false|null))/y;

/* Past so many tokens, text stays uncoloured: each colour is an element. */
const COLOURED_MAX = 4000;

function kindOf([, mark, string, number]) {
	if (mark)
		return 'mark';
	if (string)
		return 'string';
	return number ? 'number' : 'word';
}

/* The last token may be a `rest`, of text that was cut off in the middle. */
function* tokens(text) {
	let index = 0;

	for (;;) {
		TOKEN.lastIndex = index;
		const match = TOKEN.exec(text);
		if (!match)
			break;
		index = TOKEN.lastIndex;
		const length = match[0].trimStart().length;
		yield {kind: kindOf(match), text: text.slice(index - length, index), start: index - length, end: index};
	}
	const rest = text.slice(index).trim();
	if (rest)
		yield {kind: 'rest', text: rest, start: text.length - rest.length, end: text.length};
}

/* The index behind the value that starts at `index`. */
function skipValue(list, index) {
	let depth = 0;

	do {
		if ('{['.includes(list[index].text))
			depth++;
		else if ('}]'.includes(list[index].text))
			depth--;
		index++;
	} while (depth > 0);
	return index;
}

/* The [start, end) of the value of `name` in the object that starts at `index`; like JSON.parse, the last one. */
function findMember(list, index, name) {
	let found = null;

	index++;
	while (list[index].text !== '}') {
		const end = skipValue(list, index + 2);
		if (JSON.parse(list[index].text) === name)
			found = [index + 2, end];
		index = list[end].text === ',' ? end + 1 : end;
	}
	return found;
}

/* memberSource('{"data":{"message":1.0}}', ['data', 'message']) is '1.0'. */
export function memberSource(text, path) {
	const list = [...tokens(text)];
	let range = [0, list.length];

	for (const name of path)
		range = findMember(list, range[0], name);
	return text.slice(list[range[0]].start, list[range[1] - 1].end);
}

/* The texts of the elements of the array at `path`. */
export function elementSources(text, path) {
	const list = [...tokens(text)];
	let index = 0;
	const found = [];

	for (const name of path)
		[index] = findMember(list, index, name);
	for (index++; list[index].text !== ']'; index += list[index].text === ',' ? 1 : 0) {
		const end = skipValue(list, index);
		found.push(text.slice(list[index].start, list[end - 1].end));
		index = end;
	}
	return found;
}

/* What stands between two tokens: nothing, a space, or in the pretty form a line break. */
function gap(before, token, pretty, depth) {
	const line = () => (pretty ? `\n${'  '.repeat(depth)}` : '');

	if (!before)
		return '';
	if ('{['.includes(before.text))
		return '}]'.includes(token.text) ? '' : line();
	if ('}]'.includes(token.text))
		return line();
	if (before.text === ',')
		return line() || ' ';
	return before.text === ':' ? ' ' : '';
}

/* Each piece of formatted JSON: {kind, text}. */
export function* formatted(text, pretty) {
	let before = null;
	let depth = 0;

	for (const token of tokens(text)) {
		if ('}]'.includes(token.text))
			depth--;
		const space = gap(before, token, pretty, depth);
		if (space)
			yield {kind: 'space', text: space};
		yield token;
		if ('{['.includes(token.text))
			depth++;
		before = token;
	}
}

/* Appends it to a node, a colour for each kind. */
export function appendJson(node, text, {pretty = false} = {}) {
	let coloured = 0;
	let plain = '';

	for (const {kind, text: piece} of formatted(text, pretty)) {
		if (kind === 'space' || kind === 'mark' || kind === 'rest' || coloured >= COLOURED_MAX) {
			plain += piece;
			continue;
		}
		node.append(plain, element('span', {className: `json-${kind}`, textContent: piece}));
		plain = '';
		coloured++;
	}
	node.append(plain);
}

export function prettyText(text) {
	return [...formatted(text, true)].map((piece) => piece.text).join('');
}
