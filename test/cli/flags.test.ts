// How a command line is called wrongly, and what it then says; and the ways to its help.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { suite } from "uvu";
import { packageVersion } from "../../ts/native/load.js";
import { commands } from "../../ts/cli/commands.js";
import { at, bin, fails, run, succeed } from "../support/cli.js";
import { spawnSync } from "node:child_process";

const test = suite("command line");

test("everything that is wrong with the flags is named at once", async () => {
  const said = await fails(2, /^See "srpo-native train --help"\.$/m, [
    "train",
    "--lr",
    "abc",
    "--lrr=3",
    "--batch",
    "0",
    "--preset",
    "mini",
    "--device",
    "tpu",
    "--keep=2",
    "--keep=3",
    "--recompute=maybe",
    "--recompute-vae=maybe",
    "--window",
    "1,2,3",
    "--unheard",
    "--out",
    "",
    "--steps",
  ]);
  assert.deepEqual(said.replace("srpo-native: ", "").split("\n").toSorted(), [
    '--batch: expected a whole number from 1 to 65536, got "0"',
    '--device: expected cpu, emulated or cuda:N, got "tpu"',
    "--keep: expected once, got 2 times",
    '--lr: expected a number from 0 to 100000, got "abc"',
    "--lrr: no such option; did you mean --lr?",
    "--out: expected a value, got none",
    '--preset: expected one of hps, pickscore, micro, got "mini"',
    '--recompute-vae: expected true or false, got "maybe"',
    '--recompute: expected auto, none, all or a number of blocks, got "maybe"',
    "--steps: expected a value, got none",
    "--unheard: no such option",
    '--window: expected a list of 2 numbers, got "1,2,3"',
  ]);
});

test("flags and YAML are named together, each by its source", async () => {
  writeFileSync(at("recipe.yaml"), "rolloutStep: 3\nlr: fast\nconstructor: 1\n");
  const said = await fails(2, /recipe\.yaml/, ["train", at("recipe.yaml"), "--batch", "-1"]);
  for (const line of [
    "recipe.yaml: rolloutStep: no such option; did you mean rolloutSteps?",
    'recipe.yaml: lr: expected a number from 0 to 100000, got "fast"',
    "recipe.yaml: constructor: no such option",
    '--batch: expected a whole number from 1 to 65536, got "-1"',
  ])
    assert.ok(said.includes(line), `${line} in ${said}`);
});

test("YAML that is none is refused with its line and column", async () => {
  const cases: [text: string, said: RegExp][] = [
    ["lr: 1\nbatch: [1, 2\n", /recipe\.yaml: expected YAML, got .* at line \d+, column \d+/],
    ["lr: 1\nlr: 2\n", /recipe\.yaml: expected YAML, got .*unique at line 2, column 1/],
    ["- lr\n- 3\n", /recipe\.yaml: expected options, NAME: VALUE, got another form/],
    ["just words", /recipe\.yaml: expected options, NAME: VALUE, got another form/],
    ["lr: ~\n", /recipe\.yaml: lr: expected a number from 0 to 100000, got null/],
  ];
  for (const [text, said] of cases) {
    writeFileSync(at("recipe.yaml"), text);
    await fails(2, said, ["train", at("recipe.yaml"), "--model", "m"]);
  }
  await fails(2, /nowhere\.yaml: expected YAML, got ENOENT/, ["train", at("nowhere.yaml")]);
  await fails(2, /expected YAML, got EISDIR/, ["train", at(".")]);
});

test("commands: unknown ones, none, too much", async () => {
  await fails(2, /^srpo-native: trian: no such command; did you mean train\?$/m, ["trian"]);
  await fails(2, /^srpo-native: xyz: no such command: demo, init, train, /m, ["xyz", "--lr", "3"]);
  await fails(2, /^srpo-native: expected a command, got none: demo, init, /m, []);
  await fails(2, /doctor: expected no further arguments, got now/, ["doctor", "now"]);
  await fails(2, /init: expected "micro DIR", got mini/, ["init", "mini"]);
  await fails(2, /train: expected one file of options, got b\.yaml too/, ["train", "a", "b.yaml"]);
  await fails(2, /model: expected a FLUX folder, got none/, ["train", "--steps", "1"]);
  await fails(2, /model: expected a FLUX folder, got none/, ["sample", "x"]);
  await fails(2, /preprocess: expected --model and --out/, ["preprocess"]);
  await fails(2, /verify: expected a file or a folder, got none at/, ["verify", at("nowhere")]);
});

test("--verbose brings the stack", async () => {
  const { code, stderr } = await run("train", "--lr", "x", "--verbose");
  assert.equal(code, 2);
  assert.match(stderr, /^ {4}at /m);
});

test("every command has help with examples", async () => {
  const all = (await succeed("--help")).stdout;
  for (const { name, summary } of commands) {
    assert.ok(all.includes(summary.slice(0, 30)), name);
    const { stdout, stderr } = await succeed(name, "--help");
    assert.equal(stderr, "");
    assert.match(stdout, new RegExp(`^srpo-native ${name} `));
    assert.match(stdout, /Examples:\n {2}srpo-native /);
    assert.match(stdout, /--verbose/);
  }
});

test("--version and completion", async () => {
  assert.equal((await succeed("--version")).stdout, `${packageVersion}\n`);
  assert.equal((await succeed("train", "--version")).stdout, `${packageVersion}\n`);
  assert.match((await succeed("completion")).stdout, /srpo-native --get-yargs-completions/);
  const offered = await succeed("--get-yargs-completions", "srpo-native", "train", "--roll");
  assert.match(offered.stdout, /--rollout-steps/);
  const first = await succeed("--get-yargs-completions", "srpo-native", "tr");
  assert.match(first.stdout, /^train/m);
});

test("a reader that leaves early is no error", () => {
  const { status, stderr } = spawnSync(
    "bash",
    ["-o", "pipefail", "-c", `"${process.execPath}" "${bin}" train --help | head -c 1`],
    { encoding: "utf8" },
  );
  assert.equal(stderr, "");
  assert.equal(status, 0);
});

test.run();
