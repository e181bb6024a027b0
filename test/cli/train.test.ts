// What a run leaves in its folder, and the ways to feed it.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { suite } from "uvu";
import { verifyManifest } from "../../ts/checkpoint/folder.js";
import { SafetensorsFile } from "../../ts/checkpoint/safetensors.js";
import { decodePng, encodePng } from "../../ts/data/png.js";
import {
  assertSameRun,
  at,
  checkpointsOf,
  fails,
  metricsOf,
  microFolder,
  small,
  succeed,
  training,
} from "../support/cli.js";
import { assertStandsAlone } from "../support/pages.js";

const test = suite("train");
test.before(async () => void (await microFolder()));

/** The records of a run's event files, as text: tags stand in them as they are. */
function events(folder: string): string {
  const names = readdirSync(at(folder)).filter((name) => name.startsWith("events.out.tfevents."));
  return names.map((name) => readFileSync(at(folder, name), "latin1")).join("");
}

test("a run's folder: config, metrics, events, samples, checkpoints; stdout stays clean", async () => {
  const { stdout, stderr } = await succeed(
    ...training("run", "--steps", "3", "--sample-every", "2", "--save-every", "1", "--keep", "2"),
  );
  assert.equal(stdout, "");
  assert.match(stderr, /^run folder: /m);
  assert.match(stderr, /^3\/3 updates {2}\d+:\d\d gone, 0:00 left {2}\S+ .*denoise\/reward/m);
  assert.match(stderr, /^done after 3 updates: .*step-000003$/m);

  assert.match(stderr, /^report: .*report\.html$/m);
  const report = readFileSync(at("run/report.html"), "utf8");
  assert.match(report, /srpo-native train --preset micro/);
  assertStandsAlone(report);

  const rows = metricsOf("run") as Record<string, number>[];
  assert.deepEqual(
    rows.map((row) => row["step"]),
    [1, 2, 3],
  );
  for (const name of ["denoise/loss", "inversion/reward", "gradNorm", "lr", "seconds"])
    assert.ok(Number.isFinite(rows[0]![name]), name);

  const record = events("run");
  for (const tag of ["brain.Event:2", "denoise/loss", "gradNorm", "samples"])
    assert.ok(record.includes(tag), tag);

  // Step 0, every second step, and the last; two pictures of 32 with a gap of 2.
  const names = ["step-000000.png", "step-000002.png", "step-000003.png"];
  assert.deepEqual(readdirSync(at("run/samples")).toSorted(), names);
  for (const name of names) {
    const { width, height } = decodePng(readFileSync(at("run/samples", name)));
    assert.deepEqual([width, height], [66, 32]);
  }

  assert.deepEqual(checkpointsOf("run"), ["step-000002", "step-000003"]);
  using weights = SafetensorsFile.open(
    at("run/checkpoints/step-000003/transformer/diffusion_pytorch_model.safetensors"),
  );
  assert.match(weights.metadata.get("srpo.base_sha256")!, /^diffusion\S+ [0-9a-f]{64}$/);
  assert.match(weights.metadata.get("srpo.commit")!, /^[0-9a-f]{7,40}|unknown/);
  assert.match(weights.metadata.get("srpo.recipe")!, /"method":"srpo"/);
  assert.ok(weights.metadata.has("license"));
  const manifest = await verifyManifest(at("run/checkpoints/step-000003"));
  for (const part of ["vae", "text_encoder", "text_encoder_2", "tokenizer", "transformer"])
    assert.ok(
      [...manifest.keys()].some((name) => name.startsWith(`${part}/`)),
      part,
    );
  assert.ok(!existsSync(at("run/checkpoints/step-000003/reward")));
});

test("its config.yaml has every option and makes the same run again", async () => {
  await succeed(...training("first", "--steps", "1", "--sample-every", "0", "--seed", "7"));
  const config = readFileSync(at("first/config.yaml"), "utf8");
  for (const line of ['seed: "7"', "rolloutSteps: 2", "lr: 0.00003", "saveDtype: bfloat16"])
    assert.ok(config.includes(`\n${line}\n`), line);
  await succeed("train", at("first/config.yaml"), "--out", at("again"));
  assertSameRun("first", "again", 1);
  await succeed("train", at("first/config.yaml"), "--out", at("one-thread"), "--threads", "1");
  assertSameRun("first", "one-thread", 1);
  // A second run does not go into the folder of the first.
  await fails(2, /expected a new or empty folder.*go on with it by --resume/, [
    "train",
    at("first/config.yaml"),
  ]);
  // A trained checkpoint is a model folder.
  await succeed(
    "train",
    ...small,
    "--model",
    at("first/checkpoints/step-000001"),
    "--out",
    at("onward"),
    "--reward",
    at("micro/reward"),
    "--steps",
    "1",
    "--sample-every",
    "0",
  );
});

test("--save-dtype float32 saves the exact weights, and they start as the file has them", async () => {
  const options = ["--steps", "1", "--sample-every", "0", "--save-dtype", "float32"];
  await succeed(...training("still", "--lr", "0", "--weight-decay", "0", ...options));
  const file = "transformer/diffusion_pytorch_model.safetensors";
  using before = SafetensorsFile.open(at("micro", file));
  using after = SafetensorsFile.open(at("still/checkpoints/step-000001", file));
  assert.deepEqual([...after.names()].toSorted(), [...before.names()].toSorted());
  for (const name of before.names()) {
    assert.equal(after.info(name).dtype, "F32");
    const [a, b] = [await before.read(name).readBytes(), await after.read(name).readBytes()];
    assert.ok(Buffer.from(a).equals(Buffer.from(b)), name);
  }
});

for (const precision of ["bf16", "f32"])
  test(`${precision}: cached embeddings give the same run as the encoders`, async () => {
    const prompts = ["a red fox", "an old boat", "# no prompt", "", "rain on a window", "a cat"];
    writeFileSync(at("prompts.txt"), prompts.join("\n"));
    const cached = `embeddings-${precision}`;
    const { stdout } = await succeed(
      "preprocess",
      "--model",
      at("micro"),
      "--prompts",
      at("prompts.txt"),
      "--out",
      at(cached),
      "--precision",
      precision,
      "--per-file",
      "3",
    );
    assert.equal(stdout, `${at(cached)}\n`);
    const options = ["--steps", "2", "--sample-every", "0", "--precision", precision];
    const [live, ready] = [`live-${precision}`, `ready-${precision}`];
    await succeed(...training(live, "--prompts", at("prompts.txt"), ...options));
    await succeed(...training(ready, "--embeddings", at(cached), ...options));
    assertSameRun(live, ready, 2);
  });

test("offline: pictures with captions, sample prompts of their own", async () => {
  mkdirSync(at("pictures"));
  for (const [i, size] of [40, 64, 33].entries()) {
    const rgb = Uint8Array.from({ length: size * 48 * 3 }, (_, j) => (j * (i + 3)) & 255);
    writeFileSync(at("pictures", `${i}.png`), encodePng({ width: 48, height: size, rgb }));
    writeFileSync(at("pictures", `${i}.txt`), `stripes number ${i}\n`);
  }
  writeFileSync(at("grid.txt"), "a blue door\n");
  const options = ["--steps", "2", "--images", at("pictures"), "--sample-every", "1"];
  await succeed(...training("offline", ...options, "--sample-prompts", at("grid.txt")));
  assert.equal(metricsOf("offline").length, 2);
  await succeed(...training("pairs", "--method", "refl", "--stop-steps", "1", ...options));
  for (const row of metricsOf("pairs")) assert.ok("pretrain/loss" in row && "estimate/loss" in row);
  await fails(2, /images: expected none with method draft.*srpo, direct-align, refl take real/, [
    ...training("offline-2", "--method", "draft", ...options),
  ]);
  await fails(2, /prompts: expected none beside images/, [
    ...training("offline-3", ...options, "--prompts", at("grid.txt")),
  ]);
  writeFileSync(at("pictures", "3.png"), "no picture");
  await fails(2, /expected a caption NAME\.txt beside each picture.*3\.png/, [
    ...training("offline-4", ...options),
  ]);
  writeFileSync(at("pictures", "3.txt"), "not a picture");
  await fails(1, /3\.png: expected a PNG file, got another kind of file/, [
    ...training("offline-5", ...options),
  ]);
});

test.run();
