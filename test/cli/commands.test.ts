// sample, verify, bench and doctor, as they are called.
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { decodePng } from "../../ts/data/png.js";
import { packageRoot } from "../../ts/native/load.js";
import { at, fails, microFolder, run, succeed } from "../support/cli.js";

const test = suite("commands");
test.before(async () => void (await microFolder()));

const pictures = (folder: string) =>
  readdirSync(at(folder))
    .toSorted()
    .map((name) => readFileSync(at(folder, name)));

/** `sample` with few steps into a folder of this name. */
function sampling(out: string, ...more: string[]): string[] {
  const size = ["--height", "32", "--width", "48", "--steps", "2"];
  return ["sample", "--model", at("micro"), "--out", at(out), ...size, ...more];
}

test("sample: as many pictures as asked, of the size, a line each", async () => {
  const { stdout } = await succeed(...sampling("two", "a fox", "007", "--count", "2"));
  const files = [0, 1, 2, 3].map((i) => path.join(at("two"), `0000${i}.png`));
  assert.equal(stdout, files.map((file) => `${file}\n`).join(""));
  for (const file of files) {
    const { width, height } = decodePng(readFileSync(file));
    assert.deepEqual([width, height], [48, 32]);
  }
  assert.ok(readFileSync(files[2]!, "latin1").includes("prompt\x00007"));
});

test("sample: a prompt longer than the encoder reads is said, others are not", async () => {
  const long = `a red fox ${"and a green tree ".repeat(40)}`;
  const { stderr } = await succeed(...sampling("long", "a lake", long));
  assert.match(
    stderr,
    /prompts: "a red fox and a green[^"]*\.\.\.": only its first \d+ tokens are read\n/,
  );
  const short = await succeed(...sampling("short", "a lake"));
  assert.doesNotMatch(short.stderr, /tokens are read/);
});

test("sample: a seed is a picture, a file of prompts is its lines", async () => {
  await succeed(...sampling("seed-1", "a fox", "a cat", "--seed", "1", "--batch", "2"));
  writeFileSync(at("prompts.txt"), "a fox\n# none\na cat\n");
  const file = ["--prompts", at("prompts.txt"), "--batch", "2"];
  await succeed(...sampling("file-1", ...file, "--seed", "1"));
  await succeed(...sampling("file-2", ...file, "--seed", "2", "--threads", "1"));
  const [first, same, other] = [pictures("seed-1"), pictures("file-1"), pictures("file-2")];
  assert.equal(first.length, 2);
  first.forEach((png, i) => {
    assert.ok(png.equals(same[i]!));
    assert.ok(!png.equals(other[i]!));
  });
  await fails(2, /expected prompts or --prompts FILE, got both/, sampling("no", "x", ...file));
  await fails(2, /expected prompts or --prompts FILE, got none/, sampling("no"));
  assert.ok(!existsSync(at("no")));
});

test("verify: the fixtures, in words and in JSON; exit 1 for a tensor that is out", async () => {
  const golden = path.join(packageRoot, "test", "golden");
  cpSync(golden, at("golden"), { recursive: true });
  const { stdout } = await succeed("verify", at("golden"), "--json");
  const report = JSON.parse(stdout) as { ok: boolean; rows: { ok: boolean; error: unknown }[] };
  assert.ok(report.ok && report.rows.length > 100 && report.rows.every((row) => row.ok));

  // One number of the expected output is wrong.
  const name = "clip-text-tiny.safetensors";
  const bytes = readFileSync(path.join(golden, name));
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + length)) as Record<
    string,
    { dtype: string; data_offsets: [number, number] }
  >;
  const [, planted] = Object.entries(header).find(
    ([key, entry]) => key.startsWith("out") && entry.dtype === "F32",
  )!;
  bytes.writeFloatLE(Infinity, 8 + length + planted.data_offsets[0]);
  mkdirSync(at("wrong"));
  writeFileSync(at("wrong", name), bytes);
  const wrong = await run("verify", at("wrong"), "--json");
  assert.equal(wrong.code, 1, wrong.stderr);
  assert.ok(!/Infinity|NaN/.test(wrong.stdout));
  assert.equal((JSON.parse(wrong.stdout) as { ok: boolean }).ok, false);
  assert.equal((await run("verify", at("wrong"))).code, 1);
  await succeed("verify");
});

test("doctor and bench, in words and in JSON", async () => {
  const all = JSON.parse((await succeed("doctor", "--json")).stdout) as { what: string }[];
  for (const what of ["srpo-native", "Node", "addon", "device cpu", "ops on cpu"])
    assert.ok(
      all.some((finding) => finding.what === what),
      what,
    );
  assert.match((await succeed("doctor")).stdout, /^device cpu +\S.*, \d+ threads$/m);

  const short = ["--against", "none", "--rounds", "1", "--round-ms", "1"];
  const { stdout } = await succeed("bench", "modulatedLayerNorm", ...short);
  const [machine, ...lines] = stdout.trim().split("\n");
  assert.match(machine!, /\d+ threads/);
  assert.ok(lines.length >= 2 && lines.every((line) => line.startsWith("modulatedLayerNorm ")));
  const json = await succeed("bench", "modulatedLayerNorm", "--json", ...short);
  const { results } = JSON.parse(json.stdout) as { results: unknown[] };
  assert.equal(results.length, lines.length);
});

test.run();
