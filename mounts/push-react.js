/* push-react.js - a Push in React components. push-react.d.ts has the types. */
import {useCallback, useEffect, useRef, useState, useSyncExternalStore} from 'react';

/* Subscribes while the component is mounted. Returns the latest message, or gives each to `handler`. */
export function useChannel(push, channels, handler) {
	const [latest, setLatest] = useState();
	const current = useRef(handler);
	// no name contains a comma
	const names = [channels].flat().join();

	useEffect(() => {
		current.current = handler;
	});
	useEffect(() => {
		setLatest(undefined);
		if (!names)
			return undefined;
		const end = push.subscribe(names.split(','), (message, text) => (current.current ?? setLatest)(message, text));
		// later, so that a change of channels keeps the connection
		return () => queueMicrotask(end);
	}, [push, names]);
	return latest;
}

/* `open`, `waiting` and so on, as it changes. */
export function usePushState(push) {
	const listen = useCallback((changed) => push.on('state', changed), [push]);

	return useSyncExternalStore(listen, () => push.state, () => 'idle');
}
