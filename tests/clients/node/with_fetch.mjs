import { createInterface } from 'node:readline';

const [verb, url] = process.argv.slice(2);
if (verb === 'publish') {
	for await (const body of createInterface({ input: process.stdin })) {
		const answer = await fetch(url, { method: 'POST', body, headers: { 'Content-Type': 'application/json' } });
		console.log(answer.status, await answer.text());
	}
} else {
	const answer = await fetch(url);
	for await (const text of answer.body.pipeThrough(new TextDecoderStream())) process.stdout.write(text);
	console.log('end');
}
