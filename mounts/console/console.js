/*
 * console.js - puts the console's parts together: forms in, subscription and lists out.
 */
import {parseChannels, parseServer, readFragment, writeFragment} from './address.js';
import {showAccess} from './access.js';
import {Activity} from './activity.js';
import {say, sayMessage} from './announcer.js';
import {copyWith} from './copy.js';
import {byId, checkedValue, setText} from './dom.js';
import {exportMessages} from './export.js';
import {Feed} from './feed.js';
import {initFigures} from './figures.js';
import {formatCount, formatMs, plural} from './format.js';
import {History} from './history.js';
import {Latency} from './latency.js';
import {publish, readMessage} from './publisher.js';
import {valueSource} from './rows.js';
import {initSnippets} from './snippets.js';
import {showBeat, showStatus} from './status.js';
import {Subscription} from './subscription.js';

const REDRAW_MS = 250;
const forms = {subscribe: byId('subscribe'), publish: byId('publish')};

const feed = new Feed(publishAgain);
const history_ = new History(() => server, shownToken, publishAgain);
const latency = new Latency();
const activity = new Activity(byId('activity'));
let server = location.origin;	// what is published to and read from: changes with Subscribe
let token = '';			// for that server; in no link, and kept nowhere
let received = 0;
let channelTyped = false;	// until then, publish to the first channel that is subscribed to
let publishing = 0;		// a number for each publish: only the last one's answer is shown

const subscription = new Subscription({
	change: redraw,
	beat: showBeat,
	note: (text, kind) => feed.addNote(text, kind, new Date()),
	message: showMessage,
});
const showSnippet = initSnippets((verb) => (verb === 'publish' ? {server, ...typedPublish(), hasToken: Boolean(shownToken())}
	: wantedExample()));

/* What the form asks for. */
function wanted() {
	const transport = checkedValue(forms.subscribe, 'transport');

	return {
		channels: parseChannels(byId('channels').value), transport,
		server: parseServer(byId('server').value).server ?? '',
		token: byId('token').value.trim(),
		from: byId('from').value.trim(),
		client: transport === 'ws' ? byId('client').value.trim() : '',
		acks: transport === 'ws' && byId('acks').checked,
	};
}

/* The same, for a text that everybody may read. */
function wantedExample() {
	const {token: secret, ...request} = wanted();

	return {...request, server: request.server || location.origin, hasToken: Boolean(secret)};
}

/* One that is typed for another server is not sent to this one. */
function shownToken() {
	const typed = wanted();

	return (typed.server || location.origin) === server ? typed.token : token;
}

/* {value, source} or {error}, and the rest of the request. */
function typedPublish() {
	return {
		channels: parseChannels(byId('publish-channel').value),
		source: '""', value: '',
		...readMessage(checkedValue(forms.publish, 'kind'), byId('message').value),
		ttl: byId('ttl').value.trim(), key: byId('key').value, wait: byId('wait').checked,
	};
}

function showMessage(message) {
	received++;
	activity.count();
	sayMessage();
	feed.addMessage({...message, latency: latency.match(message)});
}

function redraw() {
	const live = subscription.request;
	const asked = {...wanted(), server: wanted().server || location.origin};

	showStatus(subscription.state, live);
	byId('disconnect').disabled = !live;
	// quiet if pressing it would change nothing
	byId('connect').classList.toggle('primary', !live || Object.keys(asked).some((name) => String(live[name]) !== String(asked[name])));
	setText(byId('received'), formatCount(received));
	if (latency.count) {
		setText(byId('latency'), formatMs(latency.median()));
		setText(byId('latency-note'), `median of ${formatCount(latency.count)}`);
	}
}

/* Until another one is typed. */
function followChannel() {
	const [channel] = wanted().channels;

	if (!channelTyped)
		byId('publish-channel').value = channel;
	if (byId('history-view').hidden)
		byId('history-channel').value = channel;
}

/* Acks go by WebSocket only. */
function allowAcks() {
	const isSse = checkedValue(forms.subscribe, 'transport') === 'sse';

	byId('client').disabled = byId('acks').disabled = isSse;
}

function checkServer() {
	const {error = ''} = parseServer(byId('server').value);

	setText(byId('server-error'), error);
	byId('server').setAttribute('aria-invalid', String(Boolean(error)));
	return !error;
}

function subscribe() {
	const request = wanted();

	if (!checkServer()) {
		byId('subscribe-more').open = true;
		byId('server').focus();
		return;
	}
	history.replaceState(null, '', writeFragment(request));
	document.title = `${request.channels.join(', ')} – Push console`;
	server = request.server || location.origin;
	({token} = request);
	setText(byId('origin'), server.replace(/^http:\/\//, ''));
	showSnippet();
	subscription.start({...request, server});
}

/*
 * The address is the truth: on arrival, and when someone edits it.  It may come from anyone, so another server is
 * not called before the reader has seen its name and wants that.
 */
function readAddress() {
	const {channels, transport, server: other, from, acks} = readFragment(location.hash);

	byId('channels').value = channels.join(', ');
	for (const radio of forms.subscribe.elements.transport)
		radio.checked = radio.value === transport;
	// a link may come from anyone: no server that it names gets a token that was typed for another one
	if ((other || location.origin) !== server)
		byId('token').value = '';
	byId('server').value = other;
	byId('from').value = from;
	byId('acks').checked = acks;
	byId('subscribe-more').open ||= Boolean(other || from || acks);
	followChannel();
	allowAcks();
	showSnippet();
	if (other && other !== server) {
		subscription.stop();
		const text = `This link names another server, ${other}: choose Subscribe to connect to it`;
		feed.addNote(text, 'bad', new Date());
		say(text);
		return;
	}
	subscribe();
}

function checkMessage() {
	const {error = ''} = typedPublish();

	setText(byId('message-error'), error);
	byId('message').setAttribute('aria-invalid', String(Boolean(error)));
	// the answer was to something else
	if (error)
		showAnswer('', '', '');
	return !error;
}

function showAnswer(kind, text, detail) {
	const answer = byId('answer');
	const status = document.createElement('strong');

	answer.dataset.kind = kind;
	status.textContent = text;
	answer.replaceChildren(...text ? [status, ` ${detail}`] : []);
}

function answerDetail({subscribers, written}) {
	const to = `to ${plural(subscribers, 'subscriber')}`;

	return written === undefined ? to : `${to}, written to ${formatCount(written)}`;
}

async function send() {
	const request = typedPublish();
	const number = ++publishing;

	if (!checkMessage()) {
		byId('message').focus();
		return;
	}
	showAnswer('', 'Publishing', '');
	const takeBack = request.channels.map((channel) => latency.sent(channel, request.value, performance.now()));
	const result = await publish(server, {...request, token: shownToken()});
	if (!result.ok)
		takeBack.forEach((undo) => undo());
	if (number === publishing)
		showAnswer(result.ok ? 'good' : 'bad', result.status, result.ok ? answerDetail(result) : result.error);
}

/* Into the form, for the reader to look at and send. */
function publishAgain(message) {
	const isText = typeof message.value === 'string';

	channelTyped = true;
	byId('publish-channel').value = message.channel;
	byId('message').value = isText ? message.value : valueSource(message);
	for (const radio of forms.publish.elements.kind)
		radio.checked = radio.value === (isText ? 'text' : 'json');
	showAnswer('', '', '');
	checkMessage();
	showSnippet();
	byId('send').focus();
}

/* On a narrow screen messages come first, for the eye and for the Tab key. */
function place({matches: isWide}) {
	const main = byId('layout');

	main[isWide ? 'append' : 'prepend'](byId('messages'));
}

function showView(view) {
	byId('live-view').hidden = view !== 'live';
	byId('history-view').hidden = view !== 'history';
	if (view === 'history')
		history_.read(byId('history-channel').value);
}

function initForms() {
	forms.subscribe.addEventListener('submit', (event) => {
		event.preventDefault();
		subscribe();
	});
	forms.subscribe.addEventListener('change', ({target}) => {
		allowAcks();
		if (target.name === 'transport' && subscription.request)
			subscribe();
	});
	forms.subscribe.addEventListener('input', () => {
		followChannel();
		checkServer();
		showSnippet();
		redraw();
	});
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
}

function initButtons() {
	byId('disconnect').addEventListener('click', () => {
		subscription.stop();
		byId('connect').focus();
	});
	byId('try-now').addEventListener('click', () => subscription.tryNow());
	byId('export').addEventListener('click', () => exportMessages(feed.messages));
	byId('view').addEventListener('change', ({target}) => showView(target.value));
	byId('skip').addEventListener('click', (event) => {
		// the fragment is taken: it says what is subscribed to
		event.preventDefault();
		byId('messages').focus();
		byId('messages').scrollIntoView();
	});
	copyWith(byId('copy-link'), () => location.href.replace(/#.*/, '') + writeFragment(wanted()));
}

const wide = matchMedia('(min-width: 60em)');
wide.addEventListener('change', place);
place(wide);
// where there is room, it is open from the start
byId('snippets').open = matchMedia('(min-width: 60em) and (min-height: 62em)').matches;
initForms();
initButtons();
initFigures();
showAccess();
addEventListener('hashchange', readAddress);
addEventListener('online', () => subscription.tryNow());
setText(byId('origin'), location.host);
if (/Mac|iPhone|iPad/.test(navigator.platform))
	setText(byId('send-keys'), '⌘ ⏎');
setInterval(redraw, REDRAW_MS);
setInterval(() => setText(byId('rate'), `${formatCount(activity.tick())} a second`), 1000);
readAddress();
