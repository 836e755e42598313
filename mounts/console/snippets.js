/*
 * snippets.js - the same from a terminal, a page or a program, for the channels and the message at hand.
 *
 * A request says with `hasToken` that the server is shown a token.  The text has $TOKEN in its place, which shells and
 * Python read from the environment: what is on the screen or copied into a chat is no secret.
 */
import {publishUrl, subscribeUrl} from './address.js';
import {byId, checkedValue, element} from './dom.js';
import {copyWith} from './copy.js';
import {publishBody} from './publisher.js';

/* One word for any POSIX shell. */
export function shellQuote(text) {
	return `'${text.replaceAll("'", `'\\''`)}'`;
}

/* What needs no quotes has none. */
function word(text) {
	return /^[\w./:=@-]+$/.test(text) ? text : shellQuote(text);
}

/* A string of JSON is one of JavaScript and of Python, too. */
function literal(text) {
	return /^[^'\\\p{C}]*$/u.test(text) ? `'${text}'` : JSON.stringify(text);
}

function lines(...all) {
	return all.filter((line) => line !== null && line !== false).join('\n');
}

function withoutEmpty(members) {
	return Object.entries(members).filter(([, value]) => value).map(([name, value]) => `${name}: ${value}`);
}

/* A key is for one publish: where each channel is a publish of its own, each has a key of its own. */
function keyOf({key, channels}, index) {
	return key && channels.length > 1 ? `${key}-${index + 1}` : key;
}

/* `push` ends its options at `--`: only a word that begins so needs it. */
function pushCommand(verb, {server, hasToken}, options, ...words) {
	const end = words.some((text) => text.startsWith('--')) ? ['--'] : [];
	const variable = hasToken ? ['PUSH_TOKEN="$TOKEN"'] : [];

	return [...variable, 'push', verb, '--url', word(server), ...options, ...end, ...words.map(word)].join(' ');
}

/* An EventSource can send no header: its URL has a ticket. */
function eventSource(url, {server, hasToken}) {
	return hasToken ? lines(
		`const answer = await fetch(${literal(`${server}/auth/tickets`)}, {`,
		'  method: \'POST\', headers: {Authorization: \'Bearer $TOKEN\'},',
		'});',
		'const {ticket} = await answer.json();',
		'const events = new EventSource(',
		`  ${literal(`${url}&ticket=`)} + ticket);`)
		: lines('const events = new EventSource(', `  ${literal(url)});`);
}

const BEARER = '-H "Authorization: Bearer $TOKEN"';
const PYTHON_BEARER = '\'Authorization\': \'Bearer \' + os.environ[\'TOKEN\']';

const SUBSCRIBE = {
	push: ({channels, transport, from, acks, client, ...request}) => lines(
		acks && !client && '# acknowledges only with a client name',
		pushCommand('sub', request, [
			...(transport === 'sse' ? ['--sse'] : []), ...(from ? ['--from', word(from)] : []),
			...(client && transport === 'ws' ? ['--name', word(client)] : []),
		], ...channels)),
	curl: (request) => `curl -N ${request.hasToken ? `${BEARER} ` : ''}` +
		shellQuote(subscribeUrl(request.server, {...request, transport: 'sse'})),
	'push.js': ({server, channels, transport, from, acks, client, hasToken}) => lines(
		'import {Push} from \'/push.js\';', '',
		`const push = new Push(${literal(server)}, {`,
		`  channels: [${channels.map(literal).join(', ')}],`,
		...withoutEmpty({
			transport: transport === 'sse' && literal('sse'), id: from && literal(from),
			client: transport === 'ws' && client && literal(client), acks: transport === 'ws' && !client && acks,
			token: hasToken && literal('$TOKEN'),
		}).map((member) => `  ${member},`),
		'  message: ({channel, message}) => console.log(channel, message),',
		'});'),
	Python: (request) => lines(
		`import json, ${request.hasToken ? 'os, ' : ''}urllib.request`, '',
		`url = ${literal(subscribeUrl(request.server, {...request, transport: 'sse'}))}`,
		request.hasToken && `headers = {${PYTHON_BEARER}}`,
		`with urllib.request.urlopen(${request.hasToken ? 'urllib.request.Request(url, headers=headers)' : 'url'}) as stream:`,
		'    for line in stream:',
		'        if line.startswith(b\'data:\'):',
		'            data = json.loads(line[5:])',
		'            if \'message\' in data:',
		'                print(data[\'channel\'], data[\'message\'], flush=True)'),
	EventSource: (request) => lines(
		eventSource(subscribeUrl(request.server, {...request, transport: 'sse'}), request), '',
		'events.addEventListener(\'message\', (event) => {',
		'  const {channel, message} = JSON.parse(event.data);',
		'  console.log(channel, message);',
		'});'),
	// -H without = would take the URL, too
	websocat: (request) => `websocat ${request.hasToken ? '-H="Authorization: Bearer $TOKEN" ' : ''}` +
		shellQuote(subscribeUrl(request.server, {...request, transport: 'ws'})),
};

const PUBLISH = {
	push: (request) => {
		const {channels, value, source, ttl, key, wait} = request;
		// a lone dash would be the standard input
		const isText = typeof value === 'string' && value !== '-';
		const options = (index) => [
			...(isText ? [] : ['--json']), ...(ttl ? ['--ttl', word(ttl)] : []),
			...(key ? ['--key', word(keyOf(request, index))] : []), ...(wait ? ['--wait'] : []),
		];
		return channels.map((channel, index) =>
			pushCommand('pub', request, options(index), channel, isText ? value : source)).join('\n');
	},
	curl: (request) => lines(
		`curl ${shellQuote(publishUrl(request.server, request))} \\`,
		request.hasToken && `  ${BEARER} \\`,
		'  -H \'Content-Type: application/json\' \\',
		`  -d ${shellQuote(publishBody(request))}`),
	'push.js': (request) => {
		const {server, channels, source, ttl, key, hasToken} = request;
		const options = (index) => {
			const members = withoutEmpty({key: key && literal(keyOf(request, index)), ttl: ttl && literal(ttl)}).join(', ');
			return members && `, {${members}}`;
		};
		return lines(
			'import {Push} from \'/push.js\';', '',
			`const push = new Push(${literal(server)}${hasToken ? `, {token: ${literal('$TOKEN')}}` : ''});`, '',
			...channels.map((channel, index) => `await push.publish(${literal(channel)}, ${source}${options(index)});`));
	},
	Python: (request) => lines(
		`import ${request.hasToken ? 'os, ' : ''}urllib.request`, '',
		`body = ${literal(publishBody(request))}`,
		`headers = {'Content-Type': 'application/json'${request.hasToken ? `, ${PYTHON_BEARER}` : ''}}`,
		`request = urllib.request.Request(${literal(publishUrl(request.server, request))}, body.encode(), headers)`,
		'with urllib.request.urlopen(request) as answer:',
		'    print(answer.read().decode())'),
};

const VERBS = {subscribe: SUBSCRIBE, publish: PUBLISH};

/* For tests: the text of one snippet. */
export function snippet(verb, tool, request) {
	return VERBS[verb][tool](request);
}

/* `subject(verb)` is the request as it is now: what Subscribe or Publish would do. */
export function initSnippets(subject) {
	const form = byId('snippets-form');
	const tools = byId('snippet-tool');
	const code = byId('snippet');

	const show = () => {
		const verb = checkedValue(form, 'verb');
		const names = Object.keys(VERBS[verb]);
		const chosen = names.includes(tools.value) ? tools.value : names[0];

		if (tools.options.length !== names.length) {
			tools.replaceChildren(...names.map((name) => element('option', {textContent: name})));
			tools.value = chosen;
		}
		code.textContent = snippet(verb, chosen, subject(verb));
	};
	form.addEventListener('change', show);
	copyWith(byId('snippet-copy'), () => code.textContent);
	return show;
}
