/*
 * announcer.js - what a screen reader is told.
 *
 * What happens to the connection is said at once.  Messages are only counted, and the count said now and then: a
 * busy channel would otherwise never let anyone hear anything else.
 */
import {byId} from './dom.js';
import {plural} from './format.js';

const MESSAGES_EVERY_MS = 10_000;

let messages = 0;
let timer = 0;

function sayMessages() {
	timer = 0;
	if (messages)
		say(plural(messages, 'new message'));
	messages = 0;
}

export function say(text) {
	byId('announcer').textContent = text;
}

/* The first one soon, so that a single message is heard of; the rest in one. */
export function sayMessage() {
	messages++;
	timer ||= setTimeout(sayMessages, messages === 1 ? 1000 : MESSAGES_EVERY_MS);
}
