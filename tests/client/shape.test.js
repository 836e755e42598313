/* What push.js and its hooks are as files: small, alone, and typed. */
import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {it} from 'node:test';
import {fileURLToPath} from 'node:url';
import {gzipSync} from 'node:zlib';
import {mounts} from './harness/client.js';
import {project} from './harness/package.js';

const here = fileURLToPath(new URL('.', import.meta.url));

for (const [file, most] of [['push.js', 5632], ['push-react.js', 1024], ['push-vue.js', 1024]])
	it(`${file} is at most ${most} bytes gzipped, as it is served`, () => {
		const {length} = gzipSync(readFileSync(join(mounts, file)), {level: 9});

		assert.ok(length <= most, `${length} bytes`);
	});

it('push.js needs nothing else', () => {
	assert.doesNotMatch(readFileSync(join(mounts, 'push.js'), 'utf8'), /\bimport\b|\brequire\b/);
});

function tsc(folder, ...words) {
	try {
		execFileSync(join(here, 'node_modules/.bin/tsc'), ['--strict', '--noEmit', '--target', 'es2022', '--module', 'nodenext',
			'--lib', 'es2022,dom,dom.iterable', ...words], {cwd: folder, encoding: 'utf8'});
	} catch (error) {
		assert.fail(error.stdout || error.message);
	}
}

it('programs in JavaScript and TypeScript are checked by its types, strictly, and mistakes are found', () => {
	tsc(here, '--allowJs', '--checkJs', 'types.js', 'types.ts');
});

it('push.js is right in TypeScript\'s eyes, too, strictly, and is what push.d.ts declares', () => {
	const folder = mkdtempSync(join(here, 'node_modules/.types-'));

	try {
		writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
		copyFileSync(join(mounts, 'push.d.ts'), join(folder, 'declared.d.ts'));
		// by itself, or its declaration would be looked at instead
		copyFileSync(join(mounts, 'push.js'), join(folder, 'real.js'));
		writeFileSync(join(folder, 'same.ts'), `
			import type {Push as Real} from './real.js';
			import type {Push as Declared} from './declared.js';
			type Names<T> = keyof T;
			export const both: [Names<Real>, Names<Declared>] extends [Names<Declared>, Names<Real>] ? true : false = true;
		`);
		tsc(folder, '--allowJs', '--checkJs', 'real.js', 'same.ts');
	} finally {
		rmSync(folder, {recursive: true});
	}
});

it('the hooks\' types follow those of the Push that they are given', () => {
	const at = project();

	try {
		copyFileSync(join(here, 'types-hooks.ts'), join(at.folder, 'types-hooks.ts'));
		tsc(at.folder, '--skipLibCheck', 'types-hooks.ts');
	} finally {
		at.remove();
	}
});
