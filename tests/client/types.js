/* What a program that uses push.js may write, and what TypeScript is to find fault with.  Checked, never run. */
import {Push} from '../../mounts/push.js';

const push = new Push('https://push.example', {
	channels: ['a'], transport: 'ws', acks: true, client: 'me', id: '0.1.2', heartbeat: 30_000, WebSocket, EventSource,
	message: async ({channel, message, id}, text) => [channel.length, message.any, id?.length, text.length],
	gap: ({channel, missed}) => [channel?.length, missed === 'unknown' || missed],
	resumed: ({replayed}) => replayed + 1,
	unknown: () => 0,
	error: ({channel, error}) => [channel, error.length],
	state: (state, {code, status, error, wait}) => [state === 'open', code, status, error, wait],
	heard: (event) => event.length,
});

push.subscribe(new Set(['b']));
push.unsubscribe(['b']);
push.publish('b', {}, {key: 'once', ttl: '30s'}).then(({subscribers}) => subscribers + 1);
push.retry();
push.close();
export const told = [push.id.length, push.state === 'moving', push.transport === 'sse'];

/* @ts-expect-error */
push.subscribe(7);
/* @ts-expect-error */
push.state = 'happy';
/* @ts-expect-error */
new Push('https://push.example', {transport: 'fax'});
/* @ts-expect-error */
new Push('https://push.example', {chanels: []});
/* @ts-expect-error */
new Push();
