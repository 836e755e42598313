import { EventSource } from 'eventsource';

const events = new EventSource(process.argv[3]);
for (const name of ['heartbeat', 'message', 'reconnect']) {
	events.addEventListener(name, ({ data }) => console.log(`event:${name}\ndata:${data}\n`));
}
events.addEventListener('error', ({ code, message }) => { // the end of a stream, too
	console.log(message === undefined && code === undefined ? 'end' : `error ${code} ${message}`);
	events.close();
});
