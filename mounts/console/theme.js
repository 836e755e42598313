/*
 * theme.js - dark, light, or what the system says.
 *
 * No module, so that the choice of an earlier visit is there before the first paint.  The style sheet does the
 * rest: every colour is a light-dark() pair, and data-theme picks one side.
 */
'use strict';

(() => {
	const KEY = 'push-console-theme';
	const THEMES = ['system', 'light', 'dark'];

	// storage may be forbidden: the choice then lasts as long as the page
	function stored() {
		try {
			return localStorage.getItem(KEY);
		} catch {
			return null;
		}
	}

	function store(theme) {
		try {
			localStorage.setItem(KEY, theme);
		} catch {
			// see above
		}
	}

	let theme = THEMES.includes(stored()) ? stored() : 'system';
	document.documentElement.dataset.theme = theme;

	document.addEventListener('DOMContentLoaded', () => {
		const button = document.getElementById('theme');
		const label = () => {
			button.setAttribute('aria-label', `Colour theme: ${theme}`);
			button.title = `Colour theme: ${theme}`;
		};

		label();
		button.addEventListener('click', () => {
			theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
			document.documentElement.dataset.theme = theme;
			store(theme);
			label();
		});
	});
})();
