/* The npm package, as `npm pack` makes it, in fresh projects of each kind. */
import assert from 'node:assert/strict';
import {execFile} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {after, before, it} from 'node:test';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {Server} from '../browser/harness/server.js';
import {mounts} from './harness/client.js';
import {npm, pack} from './harness/package.js';

const run = promisify(execFile);
const here = fileURLToPath(new URL('.', import.meta.url));
const module = (name) => join(here, 'node_modules', name);
const RECEIVE = (url) => `
const push = new Push('${url}', {WebSocket});
const end = push.subscribe('room', ({channel, message}) => {
	console.log('received', message, 'from', channel);
	end();
});
push.on('state', (state) => state === 'open' && push.publish('room', 'hello'));
`;

let folder, modern, common, server;

before(async () => {
	folder = mkdtempSync(join(tmpdir(), 'push-package-'));
	const tarball = pack(folder);
	[modern, common] = ['module', 'commonjs'].map((type) => freshProject(type, tarball));
	server = await Server.start();
});
after(async () => {
	rmSync(folder, {recursive: true});
	await server?.stop();
});

/* A new folder that has what `npm init -y` writes there, and the package. */
function freshProject(type, tarball) {
	const fresh = mkdtempSync(join(folder, `${type}-`));

	npm(fresh, 'init', '-y');
	// which older versions of npm do not write
	npm(fresh, 'pkg', 'set', `type=${type}`);
	npm(fresh, 'install', tarball, module('undici'));
	return fresh;
}

async function prints(at, words, wanted) {
	const {stdout} = await run(process.execPath, ['--no-warnings', ...words], {cwd: at, timeout: 60_000});

	assert.equal(stdout, wanted);
}

it('holds what is served, its types and its hooks, and nothing else', () => {
	const [{files}] = JSON.parse(npm(folder, 'pack', '--dry-run', '--json', mounts));

	assert.deepEqual(files.map(({path}) => path).sort(), ['package.json', 'push-react.d.ts', 'push-react.js', 'push-vue.d.ts',
		'push-vue.js', 'push.cjs', 'push.d.cts', 'push.d.ts', 'push.js']);
});

it('has the project\'s version', () => {
	const [, version] = /project\(push VERSION (\S+)/.exec(readFileSync(join(here, '../../CMakeLists.txt'), 'utf8'));

	assert.equal(JSON.parse(readFileSync(join(mounts, 'package.json'), 'utf8')).version, version);
});

it('is imported by a project of ES modules', async () => {
	writeFileSync(join(modern, 'index.js'), `import {WebSocket} from 'undici';\nimport {Push} from 'push-client';\n${RECEIVE(server.origin)}`);
	await prints(modern, ['index.js'], 'received hello from room\n');
});

it('is required by a project of CommonJS, as npm init makes it, whether Node requires ES modules or not', async () => {
	writeFileSync(join(common, 'index.js'),
		`const {WebSocket} = require('undici');\nconst {Push} = require('push-client');\n${RECEIVE(server.origin)}`);
	await prints(common, ['index.js'], 'received hello from room\n');
	if (process.allowedNodeEnvironmentFlags.has('--experimental-require-module'))
		await prints(common, ['--no-experimental-require-module', 'index.js'], 'received hello from room\n');
});

it('is found with its types by a project of TypeScript, of either kind of module or with a bundler, without those of a browser', async () => {
	const at = common;
	const tsc = (...words) => run(module('.bin/tsc'), ['--strict', '--target', 'es2022', '--lib', 'es2022', ...words], {cwd: at});
	const program = `import {Push} from 'push-client';
declare const console: {log(...words: unknown[]): void};
const {WebSocket} = globalThis as any;
const push = new Push<{room: string}>('${server.origin}', {WebSocket});
const end = push.subscribe('room', ({channel, message}) => {
	console.log('received', message.toUpperCase(), 'from', channel);
	end();
});
push.on('state', (state) => state === 'open' && push.publish('room', 'hello'));
`;

	for (const name of ['esm.mts', 'common.cts'])
		writeFileSync(join(at, name), program);
	await tsc('--module', 'node16', 'esm.mts', 'common.cts');
	await tsc('--module', 'preserve', '--moduleResolution', 'bundler', '--noEmit', 'esm.mts');
	writeFileSync(join(at, 'socket.cjs'), 'globalThis.WebSocket = require(\'undici\').WebSocket;\n');
	await prints(at, ['-r', './socket.cjs', 'esm.mjs'], 'received HELLO from room\n');
	await prints(at, ['-r', './socket.cjs', 'common.cjs'], 'received HELLO from room\n');
	writeFileSync(join(at, 'wrong.mts'), program.replace('\'hello\'', '7'));
	await assert.rejects(tsc('--module', 'node16', '--noEmit', 'wrong.mts'), ({stdout}) => /error TS2345/.test(stdout));
});
