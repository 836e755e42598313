/* The examples in docs/ for Node work as they are, and print what stands below them. */
import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {after, before, describe, it} from 'node:test';
import {setTimeout as wait} from 'node:timers/promises';
import {fileURLToPath, pathToFileURL} from 'node:url';
import {Server} from '../browser/harness/server.js';
import {mounts} from './harness/client.js';

const here = fileURLToPath(new URL('.', import.meta.url));
const docs = join(here, '../../docs');
const EXAMPLE = /<!-- run by: tests\/client -->\n```js\n([^]*?)```\n\n```text\n([^]*?)```/g;
const TRIES = 300;

const examples = readdirSync(docs).filter((name) => name.endsWith('.md'))
	.flatMap((name) => [...readFileSync(join(docs, name), 'utf8').matchAll(EXAMPLE)]
		.map(([, program, expected], i) => ({name: `${name}, example ${i + 1}`, program, expected: expected.trim().split('\n')})));

/* Whether the lines come in this order; others may stand between them. */
function shows(output, expected) {
	const lines = output.split('\n');

	return expected.every((line) => {
		const at = lines.indexOf(line);
		lines.splice(0, at + 1);
		return at >= 0;
	});
}

describe('an example in docs/', () => {
	let folder, server;

	before(async () => {
		server = await Server.start({PUSH_HISTORY_SIZE: '10'});
		folder = mkdtempSync(join(here, 'node_modules/.docs-'));
	});
	after(async () => {
		rmSync(folder, {recursive: true});
		await server.stop();
	});

	it('is there', () => assert.ok(examples.length));

	for (const {name, program, expected} of examples)
		it(`prints what the page shows: ${name}`, async () => {
			let output = '';

			writeFileSync(join(folder, 'example.mjs'), program
				.replace('\'push-client\'', `'${pathToFileURL(join(mounts, 'push.js'))}'`)
				.replace('http://localhost:8080', server.origin));
			const running = spawn(process.execPath, ['--no-warnings', 'example.mjs'], {cwd: folder});
			const ended = once(running, 'close');
			for (const stream of [running.stdout, running.stderr])
				stream.on('data', (data) => {
					output += data;
				});
			for (let n = 0; n < TRIES && !shows(output, expected); n++) {
				for (const channel of ['news', 'orders'])
					await server.publish(channel, 'hello');
				await wait(50);
			}
			running.kill('SIGKILL');
			await ended;
			assert.ok(shows(output, expected), output);
		});
});
