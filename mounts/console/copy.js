/*
 * copy.js - to the clipboard, and say so on the button.
 *
 * The clipboard's own interface is there only on a secure origin.  Over plain HTTP from another machine, selecting
 * and copying is what is left.
 */
import {element} from './dom.js';
import {say} from './announcer.js';

const SAID_MS = 1500;

function copyBySelection(text) {
	const field = element('textarea', {value: text, className: 'visually-hidden'});
	const focused = document.activeElement;

	document.body.append(field);
	field.select();
	const copied = document.execCommand('copy');
	field.remove();
	focused?.focus();
	return copied;
}

async function copy(text) {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		return copyBySelection(text);
	}
}

/* `text` is a function: what there is to copy when the button is pressed. */
export function copyWith(button, text) {
	const label = button.textContent;

	button.addEventListener('click', async () => {
		const said = await copy(text()) ? 'Copied' : 'Not allowed';
		button.textContent = said;
		say(said);
		setTimeout(() => {
			button.textContent = label;
		}, SAID_MS);
	});
}
