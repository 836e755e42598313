/* Composables for Vue 3.3 and later. */
import type {MaybeRefOrGetter, Ref, ShallowRef} from 'vue';
import type {Handler, MessageOf, Names, Push, State} from './push.js';

/** Subscribes to channels until the scope ends; a ref of the latest message, `undefined` before the first. */
export function useChannel<T extends object, C extends Names<T>>(push: Push<T>,
	channels: MaybeRefOrGetter<C | readonly C[]>): ShallowRef<MessageOf<T, C> | undefined>;
/** Subscribes to channels until the scope ends; gives each message to `handler`. */
export function useChannel<T extends object, C extends Names<T>>(push: Push<T>,
	channels: MaybeRefOrGetter<C | readonly C[]>, handler: Handler<T, C>): void;
/** A ref of the state of a Push. */
export function usePushState<T extends object>(push: Push<T>): Readonly<Ref<State>>;
