// What goes wrong while a run goes on: the disk is full, the numbers are not finite.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { suite } from "uvu";
import { verifyManifest } from "../../ts/checkpoint/folder.js";
import { at, checkpointsOf, fails, microFolder, succeed, training } from "../support/cli.js";

const test = suite("failures on the way");
test.before(async () => void (await microFolder()));

const quick = ["--sample-every", "0", "--save-every", "1"];

mkdirSync(at("disk"));
const mount = ["-t", "tmpfs", "-o", "size=64m", "none", at("disk")];
const mounted = spawnSync("mount", mount).status === 0;
process.prependOnceListener("exit", () => {
  if (mounted) spawnSync("umount", [at("disk")]);
});

const onDisk = (title: string, fn: () => Promise<void>) => {
  if (mounted) test(title, fn);
  else test.skip(title, fn);
};

onDisk("a full disk: one line, and earlier checkpoints stay", async () => {
  const args = training("disk/run", "--steps", "9", ...quick);
  await fails(1, /step-00000\d.*expected room on the disk, got a full one \(ENOSPC\)/, args);
  const names = checkpointsOf("disk/run");
  assert.ok(names.length >= 1);
  for (const name of names) {
    assert.match(name, /^step-\d{6}$/, "nothing half-written stays");
    await verifyManifest(at("disk/run/checkpoints", name));
  }
  // Not one byte left: a run cannot even begin, and its folder says nothing wrong.
  for (let i = 0; ; ++i)
    try {
      writeFileSync(at("disk", `filler-${i}`), Buffer.alloc(1 << 16));
    } catch {
      break;
    }
  await fails(1, /config\.yaml.*expected room on the disk/, training("disk/next", "--steps", "1"));
  assert.deepEqual(readdirSync(at("disk/next")), []);
});

test("a gradient that is not finite: the step, the op, and the weights of before", async () => {
  const args = training("blown", "--steps", "4", "--lr", "1e5", "--weight-decay", "1e5", ...quick);
  const said = await fails(
    1,
    /update 2: expected a finite gradient, got norm (NaN|Infinity);/,
    args,
  );
  assert.match(said, /the first output that is not finite is of \w+(, backward)?, \[[\d, ]+\]/);
  assert.match(said, /the weights have not moved$/);
  assert.deepEqual(checkpointsOf("blown"), ["step-000001"]);
  await verifyManifest(at("blown/checkpoints/step-000001"));
});

test("weights that are not finite from the start", async () => {
  await succeed("init", "micro", at("nan"));
  const file = at("nan/transformer/diffusion_pytorch_model.safetensors");
  const bytes = readFileSync(file);
  for (let i = bytes.length - 400_000; i < bytes.length; i += 4) bytes.writeFloatLE(NaN, i & ~3);
  writeFileSync(file, bytes);
  const args = training("never", "--steps", "1", ...quick);
  await fails(
    1,
    /update 1: expected a finite gradient, got norm NaN; the first output/,
    args.map((arg) => (arg === at("micro") ? at("nan") : arg)),
  );
  assert.deepEqual(checkpointsOf("never"), []);
});

test.run();
