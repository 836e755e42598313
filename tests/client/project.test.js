/* The first example of docs/javascript.md for Node works in a project that the page's commands make. */
import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import {mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {it} from 'node:test';
import {setTimeout as wait} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import {Server} from '../browser/harness/server.js';
import {mounts} from './harness/client.js';
import {shell} from './harness/package.js';

const here = fileURLToPath(new URL('.', import.meta.url));
const page = readFileSync(join(here, '../../docs/javascript.md'), 'utf8');
const block = (mark) => new RegExp(`<!-- ${mark}.* -->\\n\`\`\`\\w+\\n([^]*?)\`\`\``).exec(page)[1];

it('the example works in the project that the commands make', async () => {
	const server = await Server.start({PUSH_HISTORY_SIZE: '10'});
	const folder = mkdtempSync(join(tmpdir(), 'push-project-'));
	const project = join(folder, 'project');
	let output = '';

	mkdirSync(project);
	mkdirSync(join(folder, 'push'));
	symlinkSync(mounts, join(folder, 'push/mounts'));
	shell(project, block('not run: npm').replace('undici', join(here, 'node_modules/undici')));
	writeFileSync(join(project, 'example.mjs'), block('run by: tests/client').replace('http://localhost:8080', server.origin));
	const program = spawn(process.execPath, ['--no-warnings', 'example.mjs'], {cwd: project});
	for (const stream of [program.stdout, program.stderr])
		stream.on('data', (data) => {
			output += data;
		});
	try {
		for (let n = 0; n < 600 && program.exitCode === null && !output.includes('news: hello'); n++) {
			await server.publish('news', 'hello');
			await wait(50);
		}
		assert.match(output, /news: hello/);
	} finally {
		program.kill('SIGKILL');
		rmSync(folder, {recursive: true});
		await server.stop();
	}
});
