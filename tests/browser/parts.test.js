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
const {Backoff} = await part('backoff.js');
const {Handover} = await part('handover.js');
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

describe('handover', () => {
	const at = (key, ms, channel = 'c') => ({channel, key, at: ms});

	/* Plays arrivals [source, message] through a handover; the old connection is closed at 'cut', or at 'quiet'. */
	function play(arrivals) {
		const handover = new Handover();
		const shown = [];
		let cut = false;

		for (const [source, message] of arrivals) {
			if (source === 'cut' || source === 'quiet') {
				cut = true;
				shown.push(...handover.cut(source === 'quiet'));
			} else if (source === 'old') {
				handover.fromOld(message);
				shown.push(message);
			} else if (!cut) {
				handover.hold(message);
			} else if (handover.admit(message)) {
				shown.push(message);
			}
		}
		return shown.map((message) => message.key).join('');
	}

	it('shows what comes on both once', () => {
		assert.equal(play([['old', at('a', 1)], ['old', at('b', 2)], ['new', at('b', 2)], ['cut'],
			['new', at('c', 3)]]), 'abc');
	});

	it('shows what only the new connection has, when the old one is behind', () => {
		assert.equal(play([['old', at('a', 1)], ['new', at('a', 1)], ['new', at('b', 2)], ['cut'],
			['new', at('c', 3)]]), 'abc');
	});

	it('waits for what the old connection had already, when the new one is behind', () => {
		assert.equal(play([['old', at('a', 1)], ['old', at('b', 2)], ['cut'], ['new', at('a', 5)],
			['new', at('b', 6)], ['new', at('c', 7)]]), 'abc');
	});

	it('tells equal messages apart by when they came', () => {
		assert.equal(play([['old', at('t', 100)], ['old', at('t', 200)], ['old', at('t', 300)],
			['new', at('t', 201)], ['new', at('t', 301)], ['cut'], ['new', at('t', 400)]]), 'tttt');
	});

	it('shows an equal message that comes much later', () => {
		assert.equal(play([['old', at('t', 0)], ['cut'], ['new', at('t', 60_000)]]), 'tt');
	});

	it('takes nothing for a copy that comes after a quiet moment', () => {
		assert.equal(play([['old', at('t', 100)], ['quiet'], ['new', at('t', 300)]]), 'tt');
	});

	it('keeps channels apart', () => {
		assert.equal(play([['old', at('x', 1, 'a')], ['old', at('x', 2, 'b')], ['new', at('x', 2, 'b')], ['cut'],
			['new', at('y', 3, 'a')]]), 'xxy');
	});

	it('loses and doubles nothing in 2000 random handovers', () => {
		for (let seed = 1; seed <= 2000; seed++) {
			const random = randomFrom(seed);
			const total = 1 + random(40);
			const cut = random(total + 1);
			// a few keys that repeat; or each its own, and then the new connection may also come too late
			const repeats = random(2) === 1;
			const start = random(repeats ? cut + 1 : total + 1);
			const keyOf = (i) => String.fromCodePoint(97 + (repeats ? random(3) : i));
			const sent = Array.from({length: total}, (unused, i) => at(keyOf(i), i * 100));
			const arrivals = [];

			for (const [i, message] of sent.entries()) {
				// copies come within 40 ms of each other, in either order
				if (i < cut)
					arrivals.push([message.at + random(40), 'old', message]);
				if (i >= start)
					arrivals.push([message.at + random(40), 'new', message]);
			}
			// in a quiet moment, as subscription.js sees to
			arrivals.push([cut * 100 - 50, 'quiet']);
			arrivals.sort(([left], [right]) => left - right);
			const shown = play(arrivals.map(([ms, source, message]) => [source, message && {...message, at: ms}]));
			// between the old one's end and a later start is a gap that no client can fill
			const wanted = sent.filter((message, i) => i < cut || i >= start).map((message) => message.key).join('');
			assert.equal(shown, wanted, `seed ${seed}`);
		}
	});
});

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

describe('backoff', () => {
	it('doubles up to half a minute, with up to half of it left to chance', () => {
		const backoff = new Backoff();

		for (let n = 0; n < 12; n++) {
			const whole = Math.min(30_000, 500 * 2 ** n);
			const wait = backoff.next();
			assert.ok(wait >= whole / 2 && wait <= whole, `try ${n}: ${wait}`);
		}
		backoff.reset();
		assert.ok(backoff.next() <= 500);
	});

	it('waits as long as the server asks', () => {
		assert.equal(new Backoff().next(7000), 7000);
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
