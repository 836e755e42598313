import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { request, WebSocket } from 'undici';

const [verb, url] = process.argv.slice(2);
const bodies = () => createInterface({ input: process.stdin });

async function publish() {
	for await (const body of bodies()) {
		const answer = await request(url, { method: 'POST', body, headers: { 'Content-Type': 'application/json' } });
		console.log(answer.statusCode, await answer.body.text());
	}
}

async function subscribe() {
	const { statusCode, body } = await request(url, { bodyTimeout: 60_000 });
	body.setEncoding('utf8');
	for await (const text of body) process.stdout.write(text);
	console.log('end');
}

async function speak(ws) {
	let answered;
	ws.addEventListener('message', ({ data }) => {
		if (!data.includes('"event":"ping"')) answered(data);
	});
	await once(ws, 'open');
	for await (const body of bodies()) {
		const answer = new Promise(resolve => { answered = resolve; });
		ws.send(`{"event":"publish","data":${body}}`);
		console.log(await answer);
	}
	ws.close(1000);
}

function listen(ws) {
	ws.addEventListener('message', ({ data }) => console.log(data));
}

if (verb.startsWith('ws-')) {
	const ws = new WebSocket(url);
	ws.addEventListener('close', ({ code }) => console.log('close', code));
	await (verb === 'ws-publish' ? speak : listen)(ws);
} else {
	await (verb === 'publish' ? publish : subscribe)();
}
