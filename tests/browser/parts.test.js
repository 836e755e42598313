/* The console's parts that need no browser, each for itself. */
import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {describe, it} from 'node:test';
import {pathToFileURL} from 'node:url';
import {resolve} from 'node:path';
import {fileURLToPath} from 'node:url';

const mounts = process.env.TEST_MOUNTS ?? resolve(fileURLToPath(import.meta.url), '../../../mounts');
const part = (name) => import(pathToFileURL(resolve(mounts, 'console', name)));

const {parseChannels, readFragment, subscribeUrl, writeFragment} = await part('address.js');
const {formatted, memberSource, prettyText} = await part('json.js');
const {Latency} = await part('latency.js');
const {readMessage} = await part('publisher.js');
const {shellQuote} = await part('snippets.js');

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
		const state = {channels: ['a b', 'ü', '50%', 'x&y=z#w', '💬'], transport: 'sse'};

		assert.deepEqual(readFragment(writeFragment(state)), state);
	});

	it('takes a link that is no good for what it says', () => {
		assert.deepEqual(readFragment('#channels=%zz&transport=fax'), {channels: ['%zz'], transport: 'ws'});
		assert.deepEqual(readFragment(''), {channels: ['demo'], transport: 'ws'});
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
		assert.equal(latency.match({channel: 'c', key: '"y"', at: 155}), null);
		assert.equal(latency.match({channel: 'd', key: '"x"', at: 155}), null);
		assert.equal(latency.match({channel: 'c', key: '"x"', at: 160}), 60);
		assert.equal(latency.match({channel: 'c', key: '"x"', at: 160}), 10);
		assert.equal(latency.match({channel: 'c', key: '"x"', at: 160}), null);
	});

	it('forgets what was not published after all', () => {
		const latency = new Latency();

		latency.sent('c', 'x', 100)();
		assert.equal(latency.match({channel: 'c', key: '"x"', at: 160}), null);
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

describe('snippets', () => {
	it('quotes anything for a shell', () => {
		const text = `it's "$HOME" \`id\` \\ !\n*`;

		assert.equal(execFileSync('sh', ['-c', `printf %s ${shellQuote(text)}`], {encoding: 'utf8'}), text);
	});
});
