/*
 * server.js - a real server on ports of its own, for a test to use, kill and start again.
 *
 * What to run comes from the environment (TEST_PUSHD and its like, set by ctest); run by hand it is the release
 * build of this tree.  Timings are short, so that a connection's whole life goes by in a test.
 */
import {execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {Agent, request} from 'node:http';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {setTimeout as wait} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';

const root = resolve(fileURLToPath(import.meta.url), '../../../..');
const paths = {
	pushd: process.env.TEST_PUSHD ?? join(root, 'build/release/server/pushd'),
	config: process.env.TEST_CONFIG ?? root,
	plugins: process.env.TEST_PLUGINS ?? join(root, 'build/release/plugins'),
	mounts: process.env.TEST_MOUNTS ?? join(root, 'mounts'),
	lwsws: process.env.TEST_LWSWS ?? join(root, 'build/deps/bin/lwsws'),
	ports: join(root, 'tests/bench/ports.py'),
};

const START_MS_MAX = 20_000;
const STOP_MS_MAX = 10_000;
const POLL_MS = 20;
const SHORT = {
	PUSH_HEARTBEAT_INTERVAL_DURATION: '500ms',
	PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION: '4s',
	PUSH_DRAIN_DURATION: '100ms',
	PUSH_WORKERS: '1',
};

/* Ours until this process ends: its standard input is held. */
export async function freePort() {
	const claim = spawn('python3', [paths.ports, '1', '--hold'], {stdio: ['pipe', 'pipe', 'inherit']});
	const [port] = await once(claim.stdout.setEncoding('utf8'), 'data');

	for (const held of [claim, claim.stdin, claim.stdout])
		held.unref();
	return Number(port);
}

/* The environment of the test, without options that are meant for another server. */
function environment(more) {
	const kept = Object.entries(process.env).filter(([name]) => !/^(PUSH_|SPRING_REDIS_)/.test(name));

	return {...Object.fromEntries(kept), ...more};
}

/* The processes of a session (proc(5), stat: the sixth field; the second, in brackets, may hold anything). */
function sessionOf(leader) {
	return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
		try {
			const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
			return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3]) === leader;
		} catch {
			return false;
		}
	});
}

export class Server {
	#options;
	#process = null;
	#log = '';
	#config = paths.config;
	#agent = new Agent({keepAlive: true});
	#runDir = mkdtempSync(join(tmpdir(), 'push-browser-'));

	/* `options` are PUSH_ variables; isOpen: the management port allows pages of this server, as docs/console.md says; hasTls:
	 * what is at `origin` is also at `secureOrigin`, by HTTP/2. */
	static async start(options = {}, {isOpen = false, hasTls = false} = {}) {
		const server = new Server();

		server.#options = options;
		server.port = await freePort();
		server.managementPort = await freePort();
		if (isOpen)
			server.#openManagement();
		if (hasTls)
			await server.#addTls();
		await server.start();
		return server;
	}

	#ownConfig() {
		const folder = join(this.#runDir, 'config');

		if (this.#config !== folder)
			for (const name of ['conf', 'conf.d'])
				cpSync(join(this.#config, name), join(folder, name), {recursive: true});
		this.#config = folder;
		return folder;
	}

	/* The vhost of clients once more, with a certificate. */
	async #addTls() {
		const folder = this.#ownConfig();
		const [cert, key] = ['cert.pem', 'key.pem'].map((name) => join(this.#runDir, name));
		const port = await freePort();

		execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
			'-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert], {stdio: 'pipe'});
		writeFileSync(join(folder, 'conf.d/30-tls'), readFileSync(join(folder, 'conf.d/10-push'), 'utf8')
			.replace('"name": "push"', '"name": "tls"')
			.replace('"port": "8080"', `"port": "${port}", "host-ssl-cert": "${cert}", "host-ssl-key": "${key}", "alpn": "h2,http/1.1"`)
			.replace('/usr/share/push/mounts', paths.mounts)
			.replace('"push-broker": { "status": "ok" }', '"push-broker": { "push-broker-vhost": "push" }'));
		this.secureOrigin = `https://localhost:${port}`;
	}

	#openManagement() {
		const folder = this.#ownConfig();
		const file = join(folder, 'conf.d/20-management');

		writeFileSync(file, readFileSync(file, 'utf8').replace('"headers": [{',
			`"headers": [{ "access-control-allow-origin": "${this.origin}",`));
	}

	get origin() {
		return `http://127.0.0.1:${this.port}`;
	}

	async start() {
		const {pushd, plugins, mounts, lwsws} = paths;

		// detached: a session of its own, so that signal() finds the workers
		this.#process = spawn(pushd, ['--config', this.#config, '--plugins', plugins, '--mounts', mounts,
			'--lwsws', lwsws, '--run-dir', this.#runDir], {
			detached: true,
			stdio: ['ignore', 'pipe', 'pipe'],
			env: environment({
				...SHORT, ...this.#options,
				SERVER_PORT: String(this.port), MANAGEMENT_SERVER_PORT: String(this.managementPort),
			}),
		});
		for (const stream of [this.#process.stdout, this.#process.stderr]) {
			stream.on('data', (data) => {
				this.#log += data;
			});
		}
		this.exited = once(this.#process, 'exit');
		await this.#answers();
	}

	/* There is no event to wait for: it is ready when it answers. */
	async #answers() {
		for (const start = Date.now(); Date.now() - start < START_MS_MAX; await wait(POLL_MS)) {
			if (this.#process.exitCode !== null)
				throw new Error(`${paths.pushd} ended with ${this.#process.exitCode}:\n${this.#log}`);
			const answer = await fetch(this.origin).catch(() => null);
			if (answer?.ok)
				return;
		}
		this.signal('SIGKILL');
		throw new Error(`${paths.pushd} does not answer at ${this.origin}:\n${this.#log}`);
	}

	/* To it and to its workers: they share its session, and have process groups of their own. */
	signal(name) {
		for (const pid of sessionOf(this.#process.pid)) {
			try {
				process.kill(pid, name);
			} catch (error) {
				if (error.code !== 'ESRCH')
					throw error;
			}
		}
	}

	/* As a crash would. */
	async kill() {
		this.signal('SIGKILL');
		await this.exited;
	}

	/* As an operator would. */
	async terminate() {
		if (this.#process.exitCode === null && this.#process.signalCode === null)
			this.#process.kill('SIGTERM');
		await this.exited;
	}

	/* New workers take the place of those that serve. */
	reload() {
		this.#process.kill('SIGHUP');
	}

	/* And whatever is left, also of one that does not end by itself. */
	async stop() {
		const late = setTimeout(() => this.signal('SIGKILL'), STOP_MS_MAX);

		this.signal('SIGCONT');
		await this.terminate();
		clearTimeout(late);
		this.signal('SIGKILL');
		this.#agent.destroy();
		rmSync(this.#runDir, {recursive: true, force: true});
	}

	/* A figure of the management port, over all labels. */
	async metric(name) {
		const text = await (await fetch(`http://127.0.0.1:${this.managementPort}/actuator/prometheus`)).text();
		const values = [...text.matchAll(new RegExp(`^${name}(?:{.*})? (\\S+)$`, 'gm'))].map(([, value]) => Number(value));

		return values.reduce((sum, value) => sum + value, 0);
	}

	/* Until it is at least so much. */
	async waitForMetric(name, least) {
		let value;

		for (const end = Date.now() + START_MS_MAX; Date.now() < end; await wait(POLL_MS)) {
			value = await this.metric(name);
			if (value >= least)
				return;
		}
		throw new Error(`${name} does not become ${least}: ${value}`);
	}

	/* Any number of messages on a channel, in one request; returns when all are answered. */
	async publishAll(channel, messages) {
		const sent = request(`${this.origin}/messages`, {
			method: 'POST', headers: {'Content-Type': 'application/x-ndjson'},
		});

		sent.end(messages.map((message) => `${JSON.stringify({channel, message})}\n`).join(''));
		const [answer] = await once(sent, 'response');
		const lines = (await answer.setEncoding('utf8').toArray()).join('').trim().split('\n');
		const failed = lines.filter((line) => !('subscribers' in JSON.parse(line)));
		if (failed.length || lines.length !== messages.length)
			throw new Error(`${lines.length} answers to ${messages.length} messages: ${failed[0]}`);
	}

	/* Returns {status, body}. */
	async publish(channel, message) {
		const sent = request(`${this.origin}/messages`, {
			method: 'POST', agent: this.#agent, headers: {'Content-Type': 'application/json'},
		});

		sent.end(JSON.stringify({channel, message}));
		const [answer] = await once(sent, 'response');
		const body = await answer.setEncoding('utf8').toArray();
		return {status: answer.statusCode, body: JSON.parse(body.join(''))};
	}
}
