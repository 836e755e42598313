/*
 * console.js - puts the console's parts together: forms in, subscription and feed out.
 */
import {parseChannels, publishUrl, readFragment, writeFragment} from './address.js';
import {Activity} from './activity.js';
import {sayMessage} from './announcer.js';
import {byId, checkedValue, setText} from './dom.js';
import {Feed} from './feed.js';
import {formatCount, formatMs, plural} from './format.js';
import {Latency} from './latency.js';
import {publish, readMessage} from './publisher.js';
import {initSnippets} from './snippets.js';
import {showBeat, showStatus} from './status.js';
import {Subscription} from './subscription.js';

const REDRAW_MS = 250;
const {origin} = location;
const forms = {subscribe: byId('subscribe'), publish: byId('publish')};

const feed = new Feed();
const latency = new Latency();
const activity = new Activity(byId('activity'));
let received = 0;
let channelTyped = false;	// until then, publish to the first channel that is subscribed to

const subscription = new Subscription(origin, {
	change: redraw,
	beat: showBeat,
	note: (text, kind) => feed.addNote(text, kind, new Date()),
	message: showMessage,
});
const showSnippet = initSnippets(() => ({
	origin,
	channels: wanted().channels,
	channel: byId('publish-channel').value,
	source: typedMessage().source ?? '""',
}));

/* What the form asks for. */
function wanted() {
	return {
		channels: parseChannels(byId('channels').value),
		transport: checkedValue(forms.subscribe, 'transport'),
	};
}

function typedMessage() {
	return readMessage(checkedValue(forms.publish, 'kind'), byId('message').value);
}

function showMessage(message) {
	received++;
	activity.count();
	sayMessage();
	feed.addMessage({...message, latency: latency.match(message)});
}

function redraw() {
	const live = subscription.request;

	showStatus(subscription.state, live);
	byId('disconnect').disabled = !live;
	// quiet where pressing it would change nothing
	byId('connect').classList.toggle('primary', !live || writeFragment(live) !== writeFragment(wanted()));
	setText(byId('received'), formatCount(received));
	if (latency.count) {
		setText(byId('latency'), formatMs(latency.median()));
		setText(byId('latency-note'), `median of ${formatCount(latency.count)}`);
	}
}

function followChannel() {
	if (!channelTyped)
		byId('publish-channel').value = wanted().channels[0];
}

function subscribe() {
	const request = wanted();

	history.replaceState(null, '', writeFragment(request));
	document.title = `${request.channels.join(', ')} – Push console`;
	subscription.start(request);
}

/* The address is the truth: on arrival, and when someone edits it. */
function readAddress() {
	const {channels, transport} = readFragment(location.hash);

	byId('channels').value = channels.join(', ');
	for (const radio of forms.subscribe.elements.transport)
		radio.checked = radio.value === transport;
	followChannel();
	showSnippet();
	subscribe();
}

function checkMessage() {
	const {error = ''} = typedMessage();

	setText(byId('message-error'), error);
	byId('message').setAttribute('aria-invalid', String(Boolean(error)));
	return !error;
}

function showAnswer(kind, text, detail) {
	const answer = byId('answer');

	answer.dataset.kind = kind;
	answer.replaceChildren();
	const status = document.createElement('strong');
	status.textContent = text;
	answer.append(status, ` ${detail}`);
}

async function send() {
	const channel = byId('publish-channel').value;
	const {value, source, error} = typedMessage();

	if (error) {
		checkMessage();
		byId('message').focus();
		return;
	}
	const takeBack = latency.sent(channel, value, performance.now());
	const result = await publish(publishUrl(origin), channel, source);
	if (!result.ok)
		takeBack();
	showAnswer(result.ok ? 'good' : 'bad', result.status,
		result.ok ? `to ${plural(result.subscribers, 'subscriber')}` : result.error);
}

forms.subscribe.addEventListener('submit', (event) => {
	event.preventDefault();
	subscribe();
});
forms.subscribe.addEventListener('change', ({target}) => {
	if (target.name === 'transport' && subscription.request)
		subscribe();
});
forms.subscribe.addEventListener('input', () => {
	followChannel();
	showSnippet();
	redraw();
});
byId('disconnect').addEventListener('click', () => {
	subscription.stop();
	byId('connect').focus();
});
byId('try-now').addEventListener('click', () => subscription.tryNow());

forms.publish.addEventListener('submit', (event) => {
	event.preventDefault();
	send();
});
forms.publish.addEventListener('input', ({target}) => {
	channelTyped ||= target.id === 'publish-channel';
	checkMessage();
	showSnippet();
});
document.addEventListener('keydown', (event) => {
	if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey))
		return;
	event.preventDefault();
	send();
});

byId('skip').addEventListener('click', (event) => {
	// the fragment is taken: it says what is subscribed to
	event.preventDefault();
	byId('messages').focus();
	byId('messages').scrollIntoView();
});
addEventListener('hashchange', readAddress);
addEventListener('online', () => subscription.tryNow());

setText(byId('origin'), location.host);
if (/Mac|iPhone|iPad/.test(navigator.platform))
	setText(byId('send-keys'), '⌘ ⏎');
setInterval(redraw, REDRAW_MS);
setInterval(() => setText(byId('rate'), `${formatCount(activity.tick())} a second`), 1000);
readAddress();
