/* What push.js is as a file: small, alone, and typed. */
import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {it} from 'node:test';
import {fileURLToPath} from 'node:url';
import {gzipSync} from 'node:zlib';
import {mounts} from './harness/client.js';

const path = join(mounts, 'push.js');
const BYTES_MAX = 4096;

it('is under 4 kB gzipped, as it is served', () => {
	const {length} = gzipSync(readFileSync(path), {level: 9});

	assert.ok(length < BYTES_MAX, `${length} bytes`);
});

it('needs nothing else', () => {
	assert.doesNotMatch(readFileSync(path, 'utf8'), /\bimport\b|\brequire\b/);
});

it('has types that TypeScript understands, and finds mistakes with', () => {
	try {
		execFileSync('node_modules/.bin/tsc', ['--allowJs', '--checkJs', '--noEmit', '--target', 'es2022', '--module', 'nodenext',
			'--lib', 'es2022,dom,dom.iterable', 'types.js'], {cwd: fileURLToPath(new URL('.', import.meta.url)), encoding: 'utf8'});
	} catch (error) {
		assert.fail(error.stdout || error.message);
	}
});
