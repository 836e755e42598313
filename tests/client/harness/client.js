/* client.js - a client with its ears open: it keeps what the library tells, for a test to look at and to wait for. */
import assert from 'node:assert/strict';
import {resolve} from 'node:path';
import {setTimeout as wait} from 'node:timers/promises';
import {fileURLToPath, pathToFileURL} from 'node:url';
import {EventSource, WebSocket} from 'undici';

export const mounts = process.env.TEST_MOUNTS ?? resolve(fileURLToPath(import.meta.url), '../../../../mounts');
export const {Push} = await import(pathToFileURL(resolve(mounts, 'push.js')));
const PATIENCE_MS = 15_000;

export async function until(isTrue, patience = PATIENCE_MS) {
	for (const end = performance.now() + patience; !isTrue(); await wait(5))
		assert.ok(performance.now() < end, `not after ${patience} ms: ${isTrue}`);
}

const NONSENSE = ['{', '', 'null', '"text"', '[]', '0', '{"event":null}', '{"event":"message"}', '{"data":{}}',
	'{"event":"message","data":null}', '{"event":"message","data":{"channel":{},"id":[]}}', '{"event":"gap","data":7}',
	'{"event":"no such event","data":{}}', '{"event":"ping","data":"x"}', '{"event":"constructor"}', 'null', '{"id":{}}'];

/* The real ones, with nonsense in front of everything that comes. */
class NoisySocket extends WebSocket {
	set onmessage(handler) {
		super.onmessage = (event) => {
			for (const data of NONSENSE)
				handler({data});
			handler(event);
		};
	}
}

class NoisySource extends EventSource {
	addEventListener(name, handler) {
		super.addEventListener(name, (event) => {
			for (const data of name === 'reconnect' ? [] : NONSENSE)
				handler({data, lastEventId: event.lastEventId});
			handler(event);
		});
	}
}

export class Client {
	states = [];
	whys = [];
	messages = [];
	gaps = [];
	resumes = [];
	unknown = 0;
	errors = [];
	heard = [];

	constructor(origin, {isNoisy, ...options}) {
		this.push = new Push(origin, {
			WebSocket: isNoisy ? NoisySocket : WebSocket,
			EventSource: isNoisy ? NoisySource : EventSource,
			state: (state, why) => {
				this.states.push(state);
				this.whys.push(why);
			},
			message: (message) => this.messages.push(message),
			gap: (gap) => this.gaps.push(gap),
			unknown: () => this.unknown++,
			resumed: (data) => this.resumes.push(data),
			error: (error) => this.errors.push(error),
			heard: (event) => this.heard.push(event),
			...options,
		});
	}

	close() {
		this.push.close();
	}

	/* Awaits the state, from now on or as it is. */
	async reaches(state, patience) {
		await until(() => this.push.state === state, patience);
	}

	of(channel) {
		return this.messages.filter((message) => message.channel === channel).map(({message}) => message);
	}

	/* Awaits these messages of the channel, and no others. */
	async receives(channel, wanted) {
		await until(() => this.of(channel).length >= wanted.length).catch(() => {});
		assert.deepEqual(this.of(channel), wanted);
	}
}
