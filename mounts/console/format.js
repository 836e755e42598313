/*
 * format.js - times, durations and counts, for people.
 */
const COUNT = new Intl.NumberFormat('en');

export function formatCount(count) {
	return COUNT.format(count);
}

/* 1 subscriber, 2 subscribers */
export function plural(count, noun) {
	return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

export function formatMs(ms) {
	if (ms < 10)
		return `${ms.toFixed(1)} ms`;
	return ms < 10_000 ? `${Math.round(ms)} ms` : formatDuration(ms);
}

export function formatBytes(bytes) {
	if (bytes < 1000)
		return plural(bytes, 'byte');
	return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

export function formatDuration(ms) {
	const s = Math.floor(ms / 1000);

	if (s < 60)
		return `${s} s`;
	if (s < 3600)
		return `${Math.floor(s / 60)} m ${s % 60} s`;
	return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} m`;
}

function pad(number, width = 2) {
	return String(number).padStart(width, '0');
}

/* 14:03:07, or 14:03:07.042 */
export function formatTime(date, {milliseconds = false} = {}) {
	const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => pad(part)).join(':');

	return milliseconds ? `${time}.${pad(date.getMilliseconds(), 3)}` : time;
}
