/* Hooks for React 18 and later. */
import type {Handler, MessageOf, Names, Push, State} from './push.js';

/** Subscribes to channels while the component is mounted; returns the latest message, `undefined` before the first. */
export function useChannel<T extends object, C extends Names<T>>(push: Push<T>, channels: C | readonly C[]):
	MessageOf<T, C> | undefined;
/** Subscribes to channels while the component is mounted; gives each message to `handler`, which may change. */
export function useChannel<T extends object, C extends Names<T>>(push: Push<T>, channels: C | readonly C[],
	handler: Handler<T, C>): void;
/** The state of a Push, as it changes. */
export function usePushState<T extends object>(push: Push<T>): State;
