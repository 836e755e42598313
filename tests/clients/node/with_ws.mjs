import { once } from 'node:events';
import { createInterface } from 'node:readline';
import WebSocket from 'ws';

const [verb, url] = process.argv.slice(2);
const ws = new WebSocket(url);
ws.on('close', code => console.log('close', code));
if (verb === 'ws-publish') {
	let answered;
	ws.on('message', data => {
		if (!data.includes('"event":"ping"')) answered(data.toString());
	});
	await once(ws, 'open');
	for await (const body of createInterface({ input: process.stdin })) {
		const answer = new Promise(resolve => { answered = resolve; });
		ws.send(`{"event":"publish","data":${body}}`);
		console.log(await answer);
	}
	ws.close(1000);
} else {
	ws.on('message', data => console.log(data.toString()));
}
