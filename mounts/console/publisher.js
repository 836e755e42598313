/*
 * publisher.js - one publish: the request and what came of it.
 *
 * A message typed as JSON is sent as it was typed, after a check that it is JSON: read and written again, big
 * numbers would change.
 */
import {publishUrl} from './address.js';
import {fetchAnswer} from './request.js';

/* push.publish.wait.max may be set to more than an answer takes otherwise. */
const WRITTEN_MS_MAX = 70_000;

/* {value, source}, or {error}: what the text means as a message. */
export function readMessage(kind, text) {
	if (kind === 'text')
		return {value: text, source: JSON.stringify(text)};
	if (!text.trim())
		return {error: 'No JSON yet. For an empty text choose Text, or type "".'};
	try {
		return {value: JSON.parse(text), source: text.trim()};
	} catch (error) {
		return {error: `Not JSON: ${error.message}`};
	}
}

/* A bare number is milliseconds, as everywhere in Push. */
export function publishBody({channels, source, ttl}) {
	const names = channels.length === 1 ? `"channel":${JSON.stringify(channels[0])}` : `"channels":${JSON.stringify(channels)}`;

	return `{${names},"message":${source}${ttl ? `,"ttl":${JSON.stringify(ttl)}` : ''}}`;
}

/* `request` is {channels, source, ttl, key, wait, token}.  Returns {ok, status, subscribers, written, error}. */
export async function publish(server, request) {
	const answer = await fetchAnswer(publishUrl(server, request), {
		method: 'POST', headers: {'Content-Type': 'application/json'}, body: publishBody(request), token: request.token,
		...request.wait && {timeout: WRITTEN_MS_MAX},
	});
	return {
		ok: answer.ok, error: answer.error, ...answer.body,
		status: answer.status === 'No answer' ? 'Not published' : answer.status,
	};
}
