/*
 * address.js - what the console's own address says, and the addresses that it calls.
 *
 * What is subscribed to lives in the fragment (#channels=a,b&transport=sse): a link can be shared, and no server
 * sees it.  Each channel is percent-encoded by itself, in the fragment as in a request, so that only the commas
 * between them are bare.
 *
 * `server` is '' for the server that the console came from.  The name of a client is in no link: two who follow it
 * would share a position.
 */
export const DEFAULTS = {channels: ['demo'], transport: 'ws', server: '', from: '', acks: false};

/* "a, b" as typed into a field.  What is wrong with a name is for the server to say. */
export function parseChannels(text) {
	return text.split(',').map((name) => name.trim());
}

/* {server}, as a URL without a slash at its end, or {error}. */
export function parseServer(text) {
	const server = text.trim().replace(/\/+$/, '');

	if (!server)
		return {server};
	return /^https?:\/\/[^/?#]/.test(server) && URL.canParse(server) && !/[?#]/.test(server) ? {server}
		: {error: `'${server}' must be a URL such as https://push.example.com`};
}

/* decodeURIComponent throws at `%zz`: then it is what it looks like. */
function decode(text) {
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}

export function readFragment(hash) {
	const state = {...DEFAULTS};

	for (const part of hash.replace(/^#/, '').split('&')) {
		const [name, value = ''] = part.split('=', 2);
		if (name === 'channels' && value)
			state.channels = value.split(',').map(decode);
		if (name === 'transport' && (value === 'ws' || value === 'sse'))
			state.transport = value;
		if (name === 'server' || name === 'from')
			state[name] = decode(value);
		if (name === 'acks')
			state.acks = value === 'true';
	}
	return state;
}

export function encodeChannels(channels) {
	return channels.map(encodeURIComponent).join(',');
}

export function writeFragment({channels, transport, server, from, acks}) {
	return `#channels=${encodeChannels(channels)}&transport=${transport}` +
		(server ? `&server=${encodeURIComponent(server)}` : '') +
		(from ? `&from=${encodeURIComponent(from)}` : '') + (acks ? '&acks=true' : '');
}

/* A key stands in the URL: over HTTP/2 the server does not read the header Idempotency-Key. */
export function publishUrl(server, {wait, key} = {}) {
	const query = [wait && 'wait=written', key && `idempotency_key=${encodeURIComponent(key)}`].filter(Boolean).join('&');

	return `${server}/messages${query && `?${query}`}`;
}

export function historyUrl(server, channel, after, limit) {
	return `${server}/messages?channel=${encodeURIComponent(channel)}&limit=${limit}` +
		(after ? `&since=${encodeURIComponent(after)}` : '');
}

export function subscribeUrl(server, {channels, transport, from, acks, client}) {
	const base = transport === 'ws' ? `${server.replace(/^http/, 'ws')}/ws/messages` : `${server}/sse/messages`;

	return `${base}?channels=${encodeChannels(channels)}` + (from ? `&last_event_id=${encodeURIComponent(from)}` : '') +
		(transport !== 'ws' ? '' : client ? `&client=${encodeURIComponent(client)}` : acks ? '&acks=true' : '');
}
