/* redis.js - a real Redis for a test: Debian's, unpacked by tests/run, or the machine's own. */
import {execFileSync, spawn} from 'node:child_process';
import {existsSync, readdirSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {setTimeout as wait} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import {freePort} from './server.js';

const tree = join(resolve(fileURLToPath(import.meta.url), '../../../..'), 'build/bench/peers/root/usr');
const START_MS_MAX = 10_000;

function program(name) {
	const own = join(tree, 'bin', name);

	if (!existsSync(own))
		return {path: name, env: process.env};
	const libraries = readdirSync(join(tree, 'lib')).filter((folder) => folder.includes('-linux-gnu'));
	return {path: own, env: {...process.env, LD_LIBRARY_PATH: libraries.map((l) => join(tree, 'lib', l)).join(':')}};
}

export class Redis {
	static async start() {
		const redis = new Redis();
		const {path, env} = program('redis-server');

		redis.port = await freePort();
		redis.process = spawn(path, ['--port', String(redis.port), '--bind', '127.0.0.1', '--save', ''],
			{env, stdio: 'ignore', cwd: '/tmp'});
		for (const end = Date.now() + START_MS_MAX; ;) {
			try {
				redis.command('PING');
				return redis;
			} catch (error) {
				if (Date.now() > end)
					throw error;
				await wait(20);
			}
		}
	}

	get url() {
		return `redis://127.0.0.1:${this.port}`;
	}

	command(...words) {
		const {path, env} = program('redis-cli');

		return execFileSync(path, ['-e', '-p', String(this.port), ...words], {env, stdio: 'pipe', encoding: 'utf8'});
	}

	stop() {
		this.process.kill('SIGKILL');
	}
}
