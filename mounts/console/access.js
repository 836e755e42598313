/*
 * access.js - the notice that everybody may use this server.  Where clients have to show who they are, pages may send
 * the header Push-Key, and the answer to OPTIONS lists it.
 */
import {byId} from './dom.js';

export async function showAccess() {
	try {
		const answer = await fetch('/messages', {method: 'OPTIONS'});
		const headers = answer.headers.get('access-control-allow-headers');

		byId('access').hidden = !answer.ok || !headers || /\bPush-Key\b/i.test(headers);
	} catch {
		// the connection's own state says that the server is away
	}
}
