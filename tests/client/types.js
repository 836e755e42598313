/* What a program in JavaScript that uses push.js may write, and what TypeScript is to find fault with.  Checked, never run. */
import {Push} from '../../mounts/push.js';

const push = new Push('https://push.example', {
	channels: ['a'], transport: 'ws', acks: true, client: 'me', id: '0.1.2', heartbeat: 30_000, WebSocket, EventSource,
	message: async ({channel, message, id}, text) => [channel.length, message.any, id?.length, text.length],
	gap: ({channel, missed}) => [channel?.length, missed === 'unknown' || missed],
	resumed: ({replayed}) => replayed + 1,
	unknown: () => 0,
	error: ({channel, channels, error}) => [channel, channels?.length, error.length],
	state: (state, {code, status, error, silent, wait}) => [state === 'open', code, status, error, silent === true, wait],
	heard: (event) => event.length,
});

push.subscribe('b');
push.subscribe(new Set(['b']), ({channel, message, id}, text) => [channel.length, message.any, id?.length, text.length])();
push.unsubscribe('b');
push.unsubscribe(['b']);
push.on('state', (state, {silent}) => [state === 'open', silent])();
push.on('gap', ({missed}) => missed);
push.publish('b', {}, {key: 'once', ttl: '30s'}).then(({subscribers}) => subscribers + 1);
push.retry();
push.close();
export const now = [push.id.length, push.state === 'moving', push.transport === 'sse'];
export const loop = async () => {
	for await (const {channel, message, id} of push)
		console.log(channel.length, message.any, id?.length);
};
new Push(new URL('https://push.example'), {channels: 'a', WebSocket: null});

/* @ts-expect-error */
push.subscribe(7);
/* @ts-expect-error */
push.state = 'happy';
/* @ts-expect-error */
push.on('mesage', () => {});
/* @ts-expect-error */
push.publish('b', {}, {tll: '30s'});
/* @ts-expect-error */
new Push('https://push.example', {transport: 'fax'});
/* @ts-expect-error */
new Push('https://push.example', {chanels: []});
/* @ts-expect-error */
new Push();
