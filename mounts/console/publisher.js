/*
 * publisher.js - one publish: the request and what came of it.
 *
 * A message typed as JSON is sent as it was typed, after a check that it is JSON: read and written again, big
 * numbers would change.
 */
const ANSWER_MS_MAX = 10_000;

/* Words for the statuses that Push answers with; HTTP/2 brings none. */
const STATUS = {
	202: 'Accepted', 400: 'Bad Request', 404: 'Not Found', 405: 'Method Not Allowed', 408: 'Request Timeout',
	411: 'Length Required', 413: 'Content Too Large', 415: 'Unsupported Media Type',
	503: 'Service Unavailable',
};

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

export function publishBody(channel, source) {
	return `{"channel":${JSON.stringify(channel)},"message":${source}}`;
}

async function readAnswer(response) {
	try {
		return await response.json();
	} catch {
		return {};
	}
}

/* {ok, status, subscribers, error}: status is words. */
export async function publish(url, channel, source) {
	let response;

	try {
		response = await fetch(url, {
			method: 'POST',
			headers: {'Content-Type': 'application/json'},
			body: publishBody(channel, source),
			signal: AbortSignal.timeout(ANSWER_MS_MAX),
		});
	} catch (error) {
		return {
			ok: false, status: 'Not published',
			error: error.name === 'TimeoutError' ? 'the server did not answer in 10 s' : 'cannot reach the server',
		};
	}
	const answer = await readAnswer(response);
	return {
		ok: response.ok,
		status: `${response.status} ${STATUS[response.status] ?? response.statusText}`.trim(),
		subscribers: answer.subscribers,
		error: response.ok ? null : answer.error ?? 'no reason given',
	};
}
