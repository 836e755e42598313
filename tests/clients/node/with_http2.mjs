import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { createInterface } from 'node:readline';

const [verb, url, ...last] = process.argv.slice(2);
const { origin, pathname, search } = new URL(url);
const client = connect(origin, { ca: readFileSync(process.env.SSL_CERT_FILE) });

async function text(stream) {
	let all = '';
	for await (const piece of stream.setEncoding('utf8')) all += piece;
	return all;
}

async function publish() {
	for await (const body of createInterface({ input: process.stdin })) {
		const stream = client.request({ ':method': 'POST', ':path': pathname, 'content-type': 'application/json' });
		stream.end(body);
		const [headers] = await once(stream, 'response');
		console.log(headers[':status'], await text(stream));
	}
}

async function subscribe() {
	const stream = client.request({ ':path': pathname + search, ...last[0] && { 'last-event-id': last[0] } });
	for await (const piece of stream.setEncoding('utf8')) process.stdout.write(piece);
	console.log('end');
}

await (verb === 'publish' ? publish : subscribe)();
client.close();
