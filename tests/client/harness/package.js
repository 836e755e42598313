/* package.js - the npm package as `npm pack` makes it, and projects that have it. */
import {execFileSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath, pathToFileURL} from 'node:url';
import {mounts} from './client.js';

const modules = fileURLToPath(new URL('../node_modules', import.meta.url));

/* npm needs no network, and says no more than it has to. */
const env = {
	...process.env, npm_config_offline: 'true', npm_config_audit: 'false', npm_config_fund: 'false',
	npm_config_install_links: 'true', npm_config_ignore_scripts: 'true', npm_config_update_notifier: 'false',
};

/* Runs commands that a document shows. */
export function shell(folder, commands) {
	return execFileSync('bash', ['-ec', commands], {cwd: folder, env, encoding: 'utf8'});
}

export function npm(folder, ...words) {
	return execFileSync('npm', words, {cwd: folder, env, encoding: 'utf8'});
}

/* Returns the tarball's path. */
export function pack(folder) {
	return join(folder, npm(folder, 'pack', '--silent', mounts).trim());
}

/* A project that has the package, and what this folder's lock file names: {folder, load(name), remove()}. */
export function project() {
	const folder = mkdtempSync(join(modules, '.project-'));
	const own = join(folder, 'node_modules/push-client');

	mkdirSync(own, {recursive: true});
	writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
	execFileSync('tar', ['-xzf', pack(folder), '--strip-components', '1', '-C', own]);
	return {
		folder,
		/* The modules of the package that are named, such as push-react.js. */
		load: (...names) => Promise.all(names.map((name) => import(pathToFileURL(join(own, name))))),
		remove: () => rmSync(folder, {recursive: true}),
	};
}
