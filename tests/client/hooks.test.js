/* The hooks for React and Vue: the real ones, in a page that jsdom plays, against a real server. */
import assert from 'node:assert/strict';
import {after, afterEach, before, describe, it} from 'node:test';
import {JSDOM} from 'jsdom';
import {EventSource, WebSocket} from 'undici';
import {Server} from '../browser/harness/server.js';
import {until} from './harness/client.js';
import {project} from './harness/package.js';

const {window} = new JSDOM('<!doctype html><body></body>', {pretendToBeVisual: true});
Object.assign(globalThis, {window, document: window.document});
for (const name of ['navigator', 'Node', 'Element', 'HTMLElement', 'SVGElement', 'ShadowRoot', 'MathMLElement'])
	globalThis[name] ??= window[name];

const at = project();
const [{Push}, reactHooks, vueHooks] = await at.load('push.js', 'push-react.js', 'push-vue.js');
const React = await import('react');
const {createRoot} = await import('react-dom/client');
const Vue = await import('vue');

let server, push, states;
let unmount = () => {};
let rooms = 0;
const room = () => `room:${++rooms}`;

before(async () => {
	server = await Server.start();
});
after(async () => {
	at.remove();
	await server.stop();
});

afterEach(() => {
	unmount();
	push.close();
	document.body.replaceChildren();
});

function open() {
	states = [];
	push = new Push(server.origin, {WebSocket, EventSource, state: (state) => states.push(state)});
}

const shown = () => document.body.textContent;

/* Until so many are subscribed: what a client says takes a moment to get there. */
async function subscribers(channel, count, message = 'probe') {
	let last;

	for (const end = performance.now() + 15_000; last !== count;) {
		assert.ok(performance.now() < end, `${channel} has ${last} subscribers, not ${count}`);
		({body: {subscribers: last}} = await server.publish(channel, message));
	}
}

/* Each mounts a component whose channels come from `show(channels)`; without a handler it shows the latest message. */
const FRAMEWORKS = {
	React: (first, handler) => {
		const {useChannel, usePushState} = reactHooks;
		const host = document.body.appendChild(document.createElement('main'));
		const root = createRoot(host);
		const Shown = ({channels}) => {
			const latest = useChannel(push, channels, handler);
			return `${usePushState(push)} ${latest?.message}`;
		};
		// strictly: effects are run twice
		const show = (channels) => root.render(React.createElement(React.StrictMode, null, React.createElement(Shown, {channels})));

		unmount = () => root.unmount();
		show(first);
		return show;
	},
	Vue: (first, handler) => {
		const {useChannel, usePushState} = vueHooks;
		const channels = Vue.shallowRef(first);
		const host = document.body.appendChild(document.createElement('main'));
		const app = Vue.createApp({
			setup() {
				const latest = useChannel(push, channels, handler);
				const state = usePushState(push);
				return () => `${state.value} ${latest.value?.message}`;
			},
		});

		unmount = () => app.unmount();
		app.mount(host);
		return (more) => {
			channels.value = more;
		};
	},
};

for (const [name, mount] of Object.entries(FRAMEWORKS))
	describe(`in ${name}, a component`, () => {
		it('shows the state and the latest message, and leaves the channel when it is unmounted', async () => {
			const channel = room();

			open();
			mount(channel);
			await until(() => shown() === 'open undefined');
			await server.publish(channel, 'one');
			await until(() => shown() === 'open one');
			assert.equal((await server.publish(channel, 'two')).body.subscribers, 1);
			await until(() => shown() === 'open two');
			unmount();
			await subscribers(channel, 0);
			assert.equal(push.state, 'idle');
		});

		it('changes its channels on the connection that there is, and forgets the last channel\'s message', async () => {
			const [first, second] = [room(), room()];

			open();
			const show = mount(first);
			await until(() => push.state === 'open');
			await subscribers(first, 1);
			await until(() => shown() === 'open probe');
			show([second]);
			await until(() => shown() === 'open undefined');
			await subscribers(first, 0, 'unheard');
			await subscribers(second, 1, 'heard');
			await until(() => shown() === 'open heard');
			show([]);
			await subscribers(second, 0, 'unheard');
			assert.deepEqual(states.slice(states.indexOf('open')), ['open', 'idle']);
		});

		it('gives each message to its handler, without being rendered for it', async () => {
			const channel = room();
			const got = [];

			open();
			mount(channel, ({message}) => got.push(message));
			await until(() => push.state === 'open');
			for (const n of [1, 2, 3])
				await server.publish(channel, n);
			await until(() => got.length === 3);
			assert.deepEqual(got, [1, 2, 3]);
			assert.equal(shown(), 'open undefined');
		});

		it('leaves a channel that something else is subscribed to', async () => {
			const channel = room();
			const got = [];

			open();
			push.subscribe(channel, ({message}) => got.push(message));
			mount(channel);
			await until(() => shown() === 'open undefined');
			unmount();
			await server.publish(channel, 'still here');
			await until(() => got.length);
			assert.deepEqual(got, ['still here']);
		});
	});

it('in React, a component calls the handler of its latest render', async () => {
	const {useChannel} = reactHooks;
	const channel = room();
	const got = [];
	const root = createRoot(document.body.appendChild(document.createElement('main')));
	const Shown = ({tag}) => {
		useChannel(push, channel, ({message}) => got.push(`${tag} ${message}`));
		return tag;
	};

	open();
	unmount = () => root.unmount();
	root.render(React.createElement(Shown, {tag: 'first'}));
	await until(() => push.state === 'open');
	root.render(React.createElement(Shown, {tag: 'second'}));
	await until(() => shown() === 'second');
	await server.publish(channel, 'hello');
	await until(() => got.length);
	assert.deepEqual(got, ['second hello']);
	assert.deepEqual(states, ['connecting', 'open']);
});

it('in Vue, a Push may be part of what is reactive', async () => {
	const {useChannel, usePushState} = vueHooks;
	const channel = room();
	const scope = Vue.effectScope();

	open();
	const store = Vue.reactive({push});
	const [latest, state] = scope.run(() => [useChannel(store.push, channel), usePushState(store.push)]);
	unmount = () => scope.stop();
	await until(() => state.value === 'open');
	await server.publish(channel, 'hello');
	await until(() => latest.value);
	assert.equal(latest.value.message, 'hello');
	scope.stop();
	await subscribers(channel, 0);
});
