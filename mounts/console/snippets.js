/*
 * snippets.js - the same from a terminal or a page of one's own, for the channels and the message at hand.
 */
import {publishUrl, subscribeUrl} from './address.js';
import {byId} from './dom.js';
import {copyWith} from './copy.js';
import {publishBody} from './publisher.js';

/* One word for any POSIX shell. */
export function shellQuote(text) {
	return `'${text.replaceAll("'", `'\\''`)}'`;
}

const SNIPPETS = {
	publish: ({origin, channel, source}) =>
		`curl ${shellQuote(publishUrl(origin))} \\\n` +
		'  -H \'Content-Type: application/json\' \\\n' +
		`  -d ${shellQuote(publishBody(channel, source))}`,
	curl: ({origin, channels}) => `curl -N ${shellQuote(subscribeUrl(origin, {channels, transport: 'sse'}))}`,
	websocat: ({origin, channels}) => `websocat ${shellQuote(subscribeUrl(origin, {channels, transport: 'ws'}))}`,
	eventsource: ({origin, channels}) =>
		'const events = new EventSource(\n' +
		`  ${JSON.stringify(subscribeUrl(origin, {channels, transport: 'sse'}))});\n\n` +
		'events.addEventListener(\'message\', (event) => {\n' +
		'  const {channel, message} = JSON.parse(event.data);\n' +
		'  console.log(channel, message);\n' +
		'});',
};

/* `subject` is a function: {origin, channels, channel, source} as they are now. */
export function initSnippets(subject) {
	const details = byId('snippets');
	const code = byId('snippet');

	const show = () => {
		const name = details.querySelector('[name=snippet]:checked').value;
		code.textContent = SNIPPETS[name](subject());
	};
	details.addEventListener('change', show);
	copyWith(byId('snippet-copy'), () => code.textContent);
	// where there is room, it is open from the start
	details.open = matchMedia('(min-width: 60em) and (min-height: 46em)').matches;
	return show;
}
