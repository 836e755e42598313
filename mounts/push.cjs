/* push.js for require(). Node before 20.19 (and 22 before 22.12) cannot require() an ES module: there its text is compiled. */
'use strict';

const {readFileSync} = require('node:fs');
const {join} = require('node:path');

function compile() {
	const path = join(__dirname, 'push.js');
	const text = readFileSync(path, 'utf8').replace('export class Push', 'exports.Push = class Push');

	module._compile(text, path);
}

try {
	module.exports = require('./push.js');
} catch (error) {
	if (error.code !== 'ERR_REQUIRE_ESM')
		throw error;
	compile();
}
