/*
 * dom.js - making and changing elements.  Text goes in as text, never as markup.
 */
export function element(name, properties = {}, ...children) {
	const node = document.createElement(name);

	Object.assign(node, properties);
	node.append(...children);
	return node;
}

export function byId(id) {
	return document.getElementById(id);
}

/* Leaves the document alone where nothing changes: it is called often. */
export function setText(node, text) {
	if (node.textContent !== text)
		node.textContent = text;
}

export function checkedValue(form, name) {
	return new FormData(form).get(name);
}
