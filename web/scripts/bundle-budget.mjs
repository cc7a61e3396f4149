// Fails the build when the interface grows beyond its budget; sizes are gzipped KiB of dist/.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const SHELL_JS_KIB = 240;
const SHELL_CSS_KIB = 40;
const LAZY_CHUNK_KIB = 150;
const ALL_KIB = 700;

const dist = new URL('../dist/', import.meta.url).pathname;
const kib = (file) => gzipSync(readFileSync(join(dist, file)), { level: 9 }).length / 1024;
const manifest = JSON.parse(readFileSync(join(dist, '.vite/manifest.json'), 'utf8'));
const entry = Object.values(manifest).find((chunk) => chunk.isEntry);

// The shell is the entry and everything it imports at once.
const shell = new Set();
const css = new Set();
const visit = (chunk) => {
  if (shell.has(chunk.file)) return;
  shell.add(chunk.file);
  for (const file of chunk.css ?? []) css.add(file);
  for (const name of chunk.imports ?? []) visit(manifest[name]);
};
visit(entry);

const files = readdirSync(join(dist, 'assets')).map((name) => `assets/${name}`);
const sizes = new Map(files.map((file) => [file, kib(file)]));
const sum = (names) => [...names].reduce((total, name) => total + (sizes.get(name) ?? 0), 0);
const failures = [];
const check = (what, size, limit) => {
  const ok = size <= limit;
  console.log(`${ok ? 'ok  ' : 'OVER'} ${what.padEnd(44)} ${size.toFixed(1).padStart(7)} of ${limit} KiB`);
  if (!ok) failures.push(what);
};

check('shell, JavaScript', sum(shell), SHELL_JS_KIB);
check('shell, CSS', sum(css), SHELL_CSS_KIB);
for (const file of files.filter((name) => name.endsWith('.js') && !shell.has(name))) {
  check(file, sizes.get(file), LAZY_CHUNK_KIB);
}
check('everything', sum(files), ALL_KIB);
process.exit(failures.length ? 1 : 0);
