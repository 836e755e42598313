/*
 * status.js - what a person sees of the connection: the pill, the figures, and the banner when there is trouble.
 */
import {byId, setText} from './dom.js';
import {say} from './announcer.js';
import {formatCount, formatDuration, formatTime, plural} from './format.js';

const NAMES = {
	idle: 'Not connected', connecting: 'Connecting', open: 'Connected', moving: 'Moving over',
	waiting: 'Reconnecting', refused: 'Refused',
};
const TRANSPORTS = {ws: 'WebSocket', sse: 'EventSource'};

let said = '';

function seconds(ms) {
	return Math.max(0, Math.ceil(ms / 1000));
}

/* Said once for each turn of events; the countdown is only shown. */
function announce({phase, reason, words}) {
	const text = phase === 'waiting' || phase === 'refused' ? `${NAMES[phase]}: ${words ?? reason}` : NAMES[phase];

	// moving goes by in a moment and needs nobody's attention
	if (text === said || phase === 'moving')
		return;
	said = text;
	say(text);
}

function showBanner({phase, reason, words, nextTryAt}, now) {
	const trouble = phase === 'waiting' || phase === 'refused';

	byId('banner').hidden = !trouble;
	if (!trouble)
		return;
	if (phase === 'refused') {
		setText(byId('banner-title'), words ? 'The server says:' : 'Refused:');
		setText(byId('banner-text'), words ?? reason);
		setText(byId('try-now'), 'Try again');
		return;
	}
	setText(byId('banner-title'), words ? `The server says: ${words}.` : `${reason[0].toUpperCase()}${reason.slice(1)}.`);
	setText(byId('banner-text'), `Trying again in ${seconds(nextTryAt - now)} s`);
	setText(byId('try-now'), 'Try now');
}

function stateNote({phase, since, nextTryAt}, request, now) {
	if (phase === 'open' || phase === 'moving')
		return `${TRANSPORTS[request.transport]}, for ${formatDuration(now - since)}`;
	if (phase === 'waiting')
		return `next try in ${seconds(nextTryAt - now)} s`;
	return request ? TRANSPORTS[request.transport] : 'choose channels and subscribe';
}

function beatsNote({beats, beatMs}) {
	if (!beats)
		return 'no heartbeat yet';
	return plural(beats, 'beat') + (beatMs ? `, every ${formatDuration(Math.round(beatMs / 1000) * 1000)}` : '');
}

function heardText({heardAt}, now) {
	if (heardAt === null)
		return '–';
	return now - heardAt < 1000 ? 'just now' : `${formatDuration(now - heardAt)} ago`;
}

/* Moving is as it should be; what is lost is not. */
function showReconnects({moves, losses, lastReason, lastAt}) {
	const note = byId('reconnects-note');

	setText(byId('reconnects'), formatCount(moves + losses));
	setText(note, moves + losses ? `${formatCount(moves)} moved, ${formatCount(losses)} lost` : 'none so far');
	note.classList.toggle('bad', losses > 0);
	note.title = lastAt ? `The last one: ${lastReason}, at ${formatTime(lastAt)}` : '';
}

export function showStatus(state, request, now = performance.now()) {
	const {phase} = state;

	document.documentElement.dataset.phase = phase;
	setText(byId('pill-text'), NAMES[phase]);
	setText(byId('state'), NAMES[phase]);
	setText(byId('state-note'), stateNote(state, request, now));
	setText(byId('heard'), heardText(state, now));
	setText(byId('beats'), beatsNote(state));
	showReconnects(state);
	showBanner(state, now);
	announce(state);
}

/* Restarts the animation by swapping between two equal ones. */
export function showBeat() {
	for (const id of ['beat', 'dot'])
		byId(id).dataset.beat = byId(id).dataset.beat === 'a' ? 'b' : 'a';
}
