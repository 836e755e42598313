/*
 * address.js - what the console's own address says, and the addresses that it calls.
 *
 * Channels and transport live in the fragment (#channels=a,b&transport=sse): a link can be shared, and no server
 * sees it.  Each channel is percent-encoded by itself, in the fragment as in a request, so that only the commas
 * between them are bare.
 */
export const DEFAULTS = {channels: ['demo'], transport: 'ws'};

/* "a, b" as typed into a field.  What is wrong with a name is for the server to say. */
export function parseChannels(text) {
	return text.split(',').map((name) => name.trim());
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
	}
	return state;
}

export function encodeChannels(channels) {
	return channels.map(encodeURIComponent).join(',');
}

export function writeFragment({channels, transport}) {
	return `#channels=${encodeChannels(channels)}&transport=${transport}`;
}

export function publishUrl(origin) {
	return `${origin}/messages`;
}

export function subscribeUrl(origin, {channels, transport}) {
	const base = transport === 'ws' ? `${origin.replace(/^http/, 'ws')}/ws/messages` : `${origin}/sse/messages`;

	return `${base}?channels=${encodeChannels(channels)}`;
}
