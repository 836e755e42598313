/*
 * export.js - messages as a file of a line each (NDJSON): {"channel":...,"message":...,"id":...,"received":...}.
 *
 * A message goes into it as it came.  The lines are made in slices, so that the page stays quick.
 */
import {element} from './dom.js';
import {valueSource} from './rows.js';

const SLICE_MS = 10;

function line(message) {
	const members = [`"channel":${JSON.stringify(message.channel)}`, `"message":${valueSource(message)}`];

	if (message.id)
		members.push(`"id":${JSON.stringify(message.id)}`);
	members.push(`"received":${JSON.stringify(message.date.toISOString())}`);
	return `{${members.join(',')}}\n`;
}

function nextTask() {
	return new Promise((resolve) => {
		setTimeout(resolve);
	});
}

export async function exportMessages(messages) {
	const lines = [];
	let until = performance.now() + SLICE_MS;

	for (const message of messages) {
		lines.push(line(message));
		if (performance.now() < until)
			continue;
		await nextTask();
		until = performance.now() + SLICE_MS;
	}
	const url = URL.createObjectURL(new Blob(lines, {type: 'application/x-ndjson'}));
	const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-');
	element('a', {href: url, download: `push-${time}.ndjson`}).click();
	// the download has begun by then
	setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
