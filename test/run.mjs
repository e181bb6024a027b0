// Runs every compiled test file in a process of its own, a few at a time, and counts by itself: a signal, a
// time-out, a missing summary or a non-zero exit without a counted failure is a failure.
//
//   node test/run.mjs [--jobs N] [--limit SECONDS] [--save FILE] [part of a path ...]
//
// --limit is of one file; --save keeps what has ended so far, as JSON.
import { spawn } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const tests = path.join(root, "dist", "test");
const wanted = process.argv.slice(2);

/** Takes a flag and its value out of the words. */
function option(name, otherwise) {
  const at = wanted.indexOf(name);
  if (at < 0) return otherwise;
  const [, value] = wanted.splice(at, 2);
  return value;
}
const jobs = Number(option("--jobs", 2));
const limitMs = 1000 * Number(option("--limit", 240));
const save = option("--save", undefined);

const files = readdirSync(tests, { recursive: true })
  .map(String)
  .filter((name) => name.endsWith(".test.js"))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  .sort();

const ended = [];
const total = { passed: 0, failed: 0, skipped: 0 };

function run(name) {
  return new Promise((resolve) => {
    const started = Date.now();
    const child = spawn(process.execPath, [path.join(tests, name)], { cwd: root });
    let output = "";
    const collect = (chunk) => (output += chunk);
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    const timer = setTimeout(() => {
      output += `\ntimed out after ${limitMs / 1000} s\n`;
      child.kill("SIGKILL");
    }, limitMs);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ name, code, signal, output, seconds: (Date.now() - started) / 1000 });
    });
  });
}

function count({ name, code, signal, output, seconds }) {
  const plain = stripVTControlCharacters(output);
  let seen = 0;
  let failed = 0;
  for (const [, all, passed, skipped] of plain.matchAll(
    /Total:\s+(\d+)\s+Passed:\s+(\d+)\s+Skipped:\s+(\d+)/g,
  )) {
    ++seen;
    // uvu's total leaves out the skipped ones.
    total.passed += Number(passed);
    total.skipped += Number(skipped);
    failed += Number(all) - Number(passed);
  }
  // Tests that met an op which their device does not have yet (support/devices.ts): not passed.
  for (const [, number] of plain.matchAll(/^Unsupported: (\d+)/gm)) {
    total.passed -= Number(number);
    total.skipped += Number(number);
  }
  if (failed === 0 && (seen === 0 || code !== 0 || signal !== null)) failed = 1;
  total.failed += failed;
  const verdict = failed === 0 ? "ok  " : "FAIL";
  console.log(`${verdict} ${name} (${seconds.toFixed(1)} s)`);
  if (failed > 0) console.log(plain, `exit ${code}, signal ${signal}`);
  ended.push({ name, failed, code, signal, seconds, ...(failed > 0 ? { output: plain } : {}) });
  if (save !== undefined) writeFileSync(save, JSON.stringify({ ...total, files: ended }));
}

const waiting = [...files];
async function worker() {
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift())
    count(await run(name));
}
await Promise.all(Array.from({ length: jobs }, worker));

const { passed, failed, skipped } = total;
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exit(failed > 0 || passed === 0 ? 1 : 0);
