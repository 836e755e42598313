/*
 * request.js - a request to a server, and what came of it, in words.
 */
const ANSWER_MS_MAX = 10_000;

/* Words for the statuses that Push answers with; HTTP/2 brings none. */
const STATUS = {
	202: 'Accepted', 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed',
	408: 'Request Timeout', 409: 'Conflict', 411: 'Length Required', 413: 'Content Too Large',
	415: 'Unsupported Media Type', 422: 'Unprocessable Content', 429: 'Too Many Requests', 503: 'Service Unavailable',
};

function parse(text) {
	try {
		return JSON.parse(text);
	} catch {
		return null;
	}
}

/* A browser says no more of a request that failed than that it failed. */
function failure(url, error) {
	if (error.name === 'TimeoutError')
		return 'the server did not answer in time';
	return new URL(url).origin === globalThis.location?.origin ? 'cannot reach the server'
		: 'cannot reach the server, or it does not allow pages from here';
}

/* `token` is '' for none.  {ok, status, text, body, error}: status is words, body is null where the text is not JSON. */
export async function fetchAnswer(url, {timeout = ANSWER_MS_MAX, token, headers, ...options} = {}) {
	try {
		const response = await fetch(url, {
			...options, signal: AbortSignal.timeout(timeout), headers: {...headers, ...token && {Authorization: `Bearer ${token}`}},
		});
		const text = await response.text();
		const body = parse(text);
		return {
			ok: response.ok, text, body,
			status: `${response.status} ${STATUS[response.status] ?? response.statusText}`.trim(),
			error: response.ok ? null : body?.error ?? 'no reason given',
		};
	} catch (error) {
		return {ok: false, text: '', body: null, status: 'No answer', error: failure(url, error)};
	}
}
