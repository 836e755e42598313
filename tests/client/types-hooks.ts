/* The hooks' types, which follow those of the Push that they are given.  Checked, never run. */
import {ref} from 'vue';
import {Push} from 'push-client';
import {useChannel, usePushState} from 'push-client/react';
import {useChannel as useVueChannel, usePushState as useVuePushState} from 'push-client/vue';

const push = new Push<{news: string; count: number}>('https://push.example');

export function Component(): string | undefined {
	const latest = useChannel(push, 'news');
	const either = useChannel(push, ['news', 'count'] as const);
	const nothing: void = useChannel(push, 'count', ({message}) => message + 1);

	// @ts-expect-error no such channel
	useChannel(push, 'weather');
	return usePushState(push) === 'open' ? latest?.message.toUpperCase() : [nothing, either?.message].join();
}

export function setup(): unknown[] {
	const latest = useVueChannel(push, ref<'news' | 'count'>('news'));
	const upper = useVueChannel(push, () => 'news' as const);

	useVueChannel(push, ['count'], ({message}) => message + 1);
	// @ts-expect-error no such channel
	useVueChannel(push, 'weather');
	// @ts-expect-error read only
	useVuePushState(push).value = 'idle';
	return [latest.value?.message, upper.value?.message.toUpperCase(), useVuePushState(push).value === 'open'];
}
