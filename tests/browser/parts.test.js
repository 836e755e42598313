/* The console's parts that need no browser, each for itself. */
import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {describe, it} from 'node:test';
import {pathToFileURL} from 'node:url';
import {resolve} from 'node:path';
import {fileURLToPath} from 'node:url';

const mounts = process.env.TEST_MOUNTS ?? resolve(fileURLToPath(import.meta.url), '../../../mounts');
const part = (name) => import(pathToFileURL(resolve(mounts, 'console', name)));

const {DEFAULTS, historyUrl, parseChannels, parseServer, publishUrl, readFragment, subscribeUrl, writeFragment} = await part('address.js');
const {channelsHint, readMetrics} = await part('figures.js');
const {elementSources, formatted, memberSource, prettyText} = await part('json.js');
const {Latency} = await part('latency.js');
const {publishBody, readMessage} = await part('publisher.js');
const {shellQuote, snippet} = await part('snippets.js');

/* A small generator, so that a failure can be had again from its seed. */
function randomFrom(seed) {
	return (below) => {
		seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
		return Math.floor(seed / 2 ** 32 * below);
	};
}

describe('json', () => {
	it('shows numbers and repeated names as they came', () => {
		const text = '{"n":12345678901234567890,"e":1.50E+3,"n":[]}';

		assert.equal([...formatted(text, false)].map((piece) => piece.text).join(''),
			'{"n": 12345678901234567890, "e": 1.50E+3, "n": []}');
	});

	it('cuts the value of a member out of the text', () => {
		const frame = '{ "event":"message", "data" : {"channel":"message","message": {"message":[1,{"a":"}"}]} } }';

		assert.equal(memberSource(frame, ['data', 'message']), '{"message":[1,{"a":"}"}]}');
		assert.equal(memberSource('{"channel":"c","message":-1.0}', ['message']), '-1.0');
		assert.equal(memberSource('{"m\\u0065ssage":"\\"\\\\"}', ['message']), '"\\"\\\\"');
	});

	it('cuts the elements of an array out of the text', () => {
		assert.deepEqual(elementSources('{"id":"x","messages":[{"message":1.0}, [2,{"a":[]}],"]",-3 ]}', ['messages']),
			['{"message":1.0}', '[2,{"a":[]}]', '"]"', '-3']);
		assert.deepEqual(elementSources('{"messages":[]}', ['messages']), []);
	});

	it('is pretty as JSON.stringify makes it, for random values', () => {
		for (let seed = 1; seed <= 300; seed++) {
			const random = randomFrom(seed);
			const value = (depth) => [
				() => null, () => true, () => random(1e6) - 5e5, () => 'tex\t "\\ü\u2028'.slice(random(8)),
				() => Array.from({length: random(4)}, () => value(depth + 1)),
				() => Object.fromEntries(Array.from({length: random(4)}, (unused, i) => [`k${i}`, value(depth + 1)])),
			][random(depth > 4 ? 4 : 6)]();
			const made = value(0);
			assert.equal(prettyText(JSON.stringify(made)), JSON.stringify(made, null, 2), `seed ${seed}`);
		}
	});

	it('takes text that is cut off in the middle', () => {
		assert.equal([...formatted('{"a":"bc', false)].map((piece) => piece.text).join(''), '{"a": "bc');
	});
});

describe('address', () => {
	it('carries any channel name through a link', () => {
		const state = {...DEFAULTS, channels: ['a b', 'ü', '50%', 'x&y=z#w', '💬'], transport: 'sse'};

		assert.deepEqual(readFragment(writeFragment(state)), state);
	});

	it('takes a link that is no good for what it says', () => {
		assert.deepEqual(readFragment('#channels=%zz&transport=fax'), {...DEFAULTS, channels: ['%zz']});
		assert.deepEqual(readFragment(''), {...DEFAULTS, channels: ['demo'], transport: 'ws'});
	});

	it('carries server, id and acks through a link, and no name of a client', () => {
		const state = {channels: ['a'], transport: 'ws', server: 'https://push.test/x', from: '0.a&b.1', acks: true};

		assert.deepEqual(readFragment(writeFragment({...state, client: 'secret'})), state);
		assert.doesNotMatch(writeFragment({...state, client: 'secret'}), /secret/);
	});

	it('takes a URL for a server and nothing else', () => {
		assert.deepEqual(parseServer(' https://push.test:8080/a/ '), {server: 'https://push.test:8080/a'});
		assert.deepEqual(parseServer(''), {server: ''});
		for (const text of ['push.test', 'ftp://push.test', 'http://', 'https://a?b', 'https://a#b', 'javascript:1', 'http://a b'])
			assert.match(parseServer(text).error, /must be a URL such as/, text);
	});

	it('asks for acks by WebSocket only, and for an id by both', () => {
		const request = {channels: ['a'], from: '0.x.1', client: 'me', acks: true};

		assert.equal(subscribeUrl('http://p', {...request, transport: 'ws'}),
			'ws://p/ws/messages?channels=a&last_event_id=0.x.1&client=me');
		assert.equal(subscribeUrl('http://p', {...request, client: '', transport: 'ws'}),
			'ws://p/ws/messages?channels=a&last_event_id=0.x.1&acks=true');
		assert.equal(subscribeUrl('http://p', {...request, transport: 'sse'}),
			'http://p/sse/messages?channels=a&last_event_id=0.x.1');
		assert.equal(historyUrl('http://p', 'a b', '', 10), 'http://p/messages?channel=a%20b&limit=10');
		assert.equal(publishUrl('http://p', {wait: true}), 'http://p/messages?wait=written');
	});

	it('leaves commas between channels bare and none within', () => {
		assert.equal(subscribeUrl('https://push.test', {channels: ['a', 'b c'], transport: 'ws'}),
			'wss://push.test/ws/messages?channels=a,b%20c');
		assert.deepEqual(parseChannels(' a, b c,,d'), ['a', 'b c', '', 'd']);
	});
});

describe('latency', () => {
	it('is known for what was published here, in order', () => {
		const latency = new Latency();

		latency.sent('c', 'x', 100);
		latency.sent('c', 'x', 150);
		assert.equal(latency.match({channel: 'c', value: 'y', at: 155}), null);
		assert.equal(latency.match({channel: 'd', value: 'x', at: 155}), null);
		assert.equal(latency.match({channel: 'c', value: 'x', at: 160}), 60);
		assert.equal(latency.match({channel: 'c', value: 'x', at: 160}), 10);
		assert.equal(latency.match({channel: 'c', value: 'x', at: 160}), null);
	});

	it('forgets what was not published after all', () => {
		const latency = new Latency();

		latency.sent('c', 'x', 100)();
		assert.equal(latency.match({channel: 'c', value: 'x', at: 160}), null);
	});
});

describe('publisher', () => {
	it('sends JSON as it was typed, and says what is wrong with it', () => {
		assert.equal(readMessage('json', ' 12345678901234567890\n').source, '12345678901234567890');
		assert.equal(readMessage('text', '{').source, '"{"');
		assert.match(readMessage('json', '{"a":').error, /^Not JSON: /);
		assert.match(readMessage('json', ' ').error, /^No JSON yet/);
	});
});

describe('figures', () => {
	it('are sums over all labels, comments left out', () => {
		const sums = readMetrics('# HELP a b\n# TYPE a counter\na{t="ws \\" } 9"} 2\na{t="sse"} 3\nb 1.5e3\n');

		assert.deepEqual([...sums], [['a', 5], ['b', 1500]]);
	});

	it('say of the channels whether these are all', () => {
		const hint = (count, complete) => channelsHint({ok: true, body: {channels: Array(count).fill({}), complete}});

		assert.equal(hint(0, false), 'Looking at all channels');
		assert.equal(hint(0, true), 'No channel has subscribers');
		assert.equal(hint(99, true), '');
		assert.equal(hint(100, true), 'The 100 channels with the most subscribers');
		assert.equal(channelsHint({ok: false, body: null, error: 'why'}), 'why');
	});
});

describe('snippets', () => {
	const publish = {server: 'http://p', channels: ['a', 'b'], value: '-', source: '"-"', ttl: '30s', key: 'k 1', wait: true};

	it('publish to several channels with time to live, key and wait', () => {
		assert.equal(publishBody({...publish, source: '1.0'}), '{"channels":["a","b"],"message":1.0,"ttl":"30s"}');
		assert.match(snippet('publish', 'curl', publish),
			/messages\?wait=written&idempotency_key=k%201' [^]*{"channels":\["a","b"\],"message":"-","ttl":"30s"}'$/);
		assert.equal(snippet('publish', 'push', publish),
			"push pub --url http://p --json --ttl 30s --key 'k 1-1' --wait a '\"-\"'\n" +
			"push pub --url http://p --json --ttl 30s --key 'k 1-2' --wait b '\"-\"'");
		assert.equal(snippet('publish', 'push', {server: 'http://p', channels: ['a'], value: '--x', source: '"--x"'}),
			'push pub --url http://p -- a --x');
	});

	it('subscribe from an id, with acks and by name', () => {
		const request = {server: 'http://p', channels: ['a'], transport: 'ws', from: '0.x.1', client: 'me', acks: true};

		assert.equal(snippet('subscribe', 'push', request), 'push sub --url http://p --from 0.x.1 --name me a');
		assert.match(snippet('subscribe', 'push.js', request), /id: '0.x.1',\n {2}client: 'me',\n/);
		assert.match(snippet('subscribe', 'push.js', {...request, client: ''}), /acks: true,\n/);
	});

	it('have $TOKEN in place of a token, and none without one', () => {
		const request = {server: 'http://p', channels: ['a'], value: 'x', source: '"x"', transport: 'ws'};
		const tools = {subscribe: ['push', 'curl', 'push.js', 'Python', 'EventSource', 'websocat'], publish: ['push', 'curl', 'push.js', 'Python']};

		for (const [verb, names] of Object.entries(tools))
			for (const tool of names) {
				assert.match(snippet(verb, tool, {...request, hasToken: true}), /\$TOKEN|os\.environ\['TOKEN'\]/, `${verb} ${tool}`);
				assert.doesNotMatch(snippet(verb, tool, {...request, hasToken: false}), /TOKEN|Bearer|ticket/, `${verb} ${tool}`);
			}
	});

	it('quotes anything for a shell', () => {
		const text = `it's "$HOME" \`id\` \\ !\n*`;

		assert.equal(execFileSync('sh', ['-c', `printf %s ${shellQuote(text)}`], {encoding: 'utf8'}), text);
	});
});
