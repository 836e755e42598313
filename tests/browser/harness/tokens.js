/* tokens.js - a key, and tokens that it signs, by the command `push token`. */
import {execFileSync} from 'node:child_process';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {fileURLToPath} from 'node:url';

const pushd = process.env.TEST_PUSHD ?? resolve(fileURLToPath(import.meta.url), '../../../../build/release/server/pushd');

export class Tokens {
	#folder = mkdtempSync(join(tmpdir(), 'push-tokens-'));

	constructor() {
		this.#push('key', '--out', 'app.jwk');
	}

	#push(...words) {
		return execFileSync(join(pushd, '../push'), ['token', ...words], {cwd: this.#folder, encoding: 'utf8'}).trim();
	}

	/* Options of a server that takes them. */
	get options() {
		return {PUSH_AUTH_KEYS: join(this.#folder, 'app.jwk.pub'), PUSH_AUTH_LEEWAY: '0'};
	}

	make(expires, ...rights) {
		return this.#push('make', '--key', 'app.jwk', '--sub', 'ann', '--expires', expires, ...rights);
	}

	remove() {
		rmSync(this.#folder, {recursive: true});
	}
}
