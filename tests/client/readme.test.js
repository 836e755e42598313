/* The README's example for Node works as it is. */
import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {it} from 'node:test';
import {setTimeout as wait} from 'node:timers/promises';
import {fileURLToPath, pathToFileURL} from 'node:url';
import {Server} from '../browser/harness/server.js';
import {mounts} from './harness/client.js';

const here = fileURLToPath(new URL('.', import.meta.url));

it('the README\'s example for Node works as it is', async () => {
	const readme = readFileSync(join(here, '../../README.md'), 'utf8');
	const [, example] = /<!-- test: node -->\n```js\n([^]*?)```/.exec(readme);
	const server = await Server.start({PUSH_HISTORY_SIZE: '10'});
	const folder = mkdtempSync(join(here, 'node_modules/.readme-'));
	let output = '';

	writeFileSync(join(folder, 'example.mjs'), example
		.replace('./push.js', pathToFileURL(join(mounts, 'push.js')).href)
		.replace('http://localhost:8080', server.origin));
	const program = spawn(process.execPath, ['--no-warnings', 'example.mjs'], {cwd: folder});
	for (const stream of [program.stdout, program.stderr])
		stream.on('data', (data) => {
			output += data;
		});
	try {
		for (let n = 0; n < 200 && !output.includes('handled hello'); n++) {
			await server.publish('qwerty', 'hello');
			await wait(50);
		}
		assert.match(output, /handled hello/);
	} finally {
		program.kill('SIGKILL');
		rmSync(folder, {recursive: true});
		await server.stop();
	}
});
