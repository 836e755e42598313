/* What a program in TypeScript may write, and what is to be found wrong: messages are typed by their channel.  Checked, never run. */
import type {Options, State, Why} from '../../mounts/push.js';
import {Push} from '../../mounts/push.js';

interface Chat {
	from: string;
	text: string;
}

/* Only an equal type is assignable both ways. */
type Same<A, B> = (<X>() => X extends A ? 1 : 2) extends (<X>() => X extends B ? 1 : 2) ? true : false;
const same = <T extends true>(): T | undefined => undefined;

const push = new Push<{news: string; count: number; [room: `chat:${string}`]: Chat}>('https://push.example', {
	channels: ['news', 'chat:1'],
	message: (message) => {
		if (message.channel === 'count')
			same<Same<typeof message.message, number>>();
	},
});

push.subscribe('news', ({message}) => same<Same<typeof message, string>>());
push.subscribe('chat:7', ({message}) => same<Same<typeof message, Chat>>());
push.subscribe(['news', 'count'], ({message}) => same<Same<typeof message, string | number>>());
push.publish('chat:7', {from: 'me', text: 'hello'});
push.on('state', (state, why) => [same<Same<typeof state, State>>(), same<Same<typeof why, Why>>()]);
push.on('message', ({channel}) => channel);

async function read(): Promise<void> {
	for await (const got of push) {
		if (got.channel === 'news')
			same<Same<typeof got.message, string>>();
	}
}

const options: Options = {channels: 'any', token: async () => 'a token', message: ({message}) => message.anything};
const untyped = new Push('https://push.example', options);
untyped.subscribe('any name', ({channel, message, id}) => [channel.length, message.anything, id?.length]);

// @ts-expect-error no such channel
push.subscribe('weather');
// @ts-expect-error of another type
push.publish('news', 7);
// @ts-expect-error of another type
push.subscribe('news', ({message}) => message.from);
// @ts-expect-error read only
push.id = '0';

export {read};
