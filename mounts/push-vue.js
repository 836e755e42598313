/* push-vue.js - a Push in Vue's components and effect scopes. push-vue.d.ts has the types. */
import {onScopeDispose, readonly, shallowRef, toRaw, toValue, watch} from 'vue';

/* Subscribes until the scope ends. Returns a ref of the latest message, or gives each to `handler`. */
export function useChannel(push, channels, handler) {
	const latest = shallowRef();

	// no name contains a comma
	watch(() => [toValue(channels)].flat().join(), (names, before, onCleanup) => {
		latest.value = undefined;
		if (!names)
			return;
		// a proxy has no private members
		const end = toRaw(push).subscribe(names.split(','), handler ?? ((message) => {
			latest.value = message;
		}));
		// later, so that a change of channels keeps the connection
		onCleanup(() => queueMicrotask(end));
	}, {immediate: true, flush: 'sync'});
	return latest;
}

/* A ref of `open`, `waiting` and so on. */
export function usePushState(push) {
	const state = shallowRef(push.state);

	onScopeDispose(toRaw(push).on('state', (now) => {
		state.value = now;
	}));
	return readonly(state);
}
