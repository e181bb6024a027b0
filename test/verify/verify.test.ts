import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import { SafetensorsFile } from "../../ts/checkpoint/safetensors.js";
import { writeSafetensors } from "../../ts/checkpoint/write.js";
import { packageRoot } from "../../ts/native/load.js";
import { affine } from "../../ts/ops/index.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import type { Tensor } from "../../ts/tensor/tensor.js";
import { closingLines, fixtureLines } from "../../ts/verify/table.js";
import { verifyPath } from "../../ts/verify/verify.js";

const golden = path.join(packageRoot, "test", "golden");
const vocabularies = path.resolve(packageRoot, "..", "shared", "spec", "tokenizers");

const test = suite("verifyPath");
let folder: string;
test.before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "srpo-verify-"));
});
test.after(() => rmSync(folder, { recursive: true, force: true }));

interface Part {
  readonly file: string;
  readonly keep?: (key: string) => boolean;
  readonly change?: (key: string, t: Tensor) => Tensor;
  /** More names for a tensor. */
  readonly also?: Readonly<Record<string, string>>;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A copy of a golden fixture in parts of its own, with tensors left out, changed or doubled. */
async function copy(of: string, name: string, parts: readonly Part[]): Promise<string> {
  using scope = tensorScope();
  void scope;
  using store = SafetensorsFile.open(path.join(golden, `${of}.safetensors`));
  for (const part of parts) {
    const { keep = () => true, change = (_: string, t: Tensor) => t, also = {} } = part;
    const tensors = [...store.names()]
      .filter(keep)
      .flatMap((key) =>
        [key, ...(also[key] === undefined ? [] : [also[key]])].map((as) => [as, key]),
      )
      .map(([as, key]) => ({ name: as!, tensor: change(as!, store.read(key!)) }));
    await writeSafetensors(path.join(folder, part.file), tensors, {
      ...Object.fromEntries(store.metadata),
      fixture: name,
      ...part.metadata,
    });
  }
  return path.join(folder, parts[0]!.file);
}

test("the network is told by the metadata, not by the file's name; parts are one key space", async () => {
  const file = await copy("clip-text-tiny", "any", [
    { file: "vae.safetensors", keep: (key) => !key.startsWith("w.") },
    { file: "vae.rest.safetensors", keep: (key) => key.startsWith("w.") },
  ]);
  const { rows, ok } = await verifyPath(file);
  assert.ok(ok, JSON.stringify(rows.filter((row) => !row.ok)));
  assert.equal(rows.length, 59);
  assert.ok(rows.every(({ fixture }) => fixture === "any"));
});

test("a wrong number is out", async () => {
  const change = (key: string, t: Tensor) => (key === "out.pooled" ? affine(t, 1.0001, 0) : t);
  const file = await copy("clip-text-tiny", "wrong", [{ file: "wrong.safetensors", change }]);
  const { rows, ok } = await verifyPath(file);
  assert.equal(ok, false);
  const [out, ...others] = rows.filter((row) => !row.ok);
  assert.equal(others.length, 0);
  assert.equal(out!.tensor, "out.pooled");
  assert.ok(out!.error > 9e-5 && out!.error < 1.1e-4 && out!.tolerance === 1e-5);
});

test("an output that no replay computes fails", async () => {
  const also = { "out.case0.q": "out.unasked" };
  const file = await copy("rope", "unasked", [{ file: "unasked.safetensors", also }]);
  const { rows } = await verifyPath(file);
  assert.deepEqual(
    rows.filter(({ ok }) => !ok).map(({ tensor, note }) => [tensor, note]),
    [["out.unasked", "not computed"]],
  );
});

test("a tensor that stands in two parts fails", async () => {
  const keep = (key: string) => key === "out.case0.q";
  const file = await copy("rope", "twice", [
    { file: "twice.safetensors" },
    { file: "twice.b.safetensors", keep },
  ]);
  const [row] = (await verifyPath(file)).rows;
  assert.match(row!.note!, /out\.case0\.q: expected once in the fixture/);
});

test("an unknown network, a broken file and a lack of weights fail, each with its reason", async () => {
  const unknown = await copy("rope", "unknown", [
    { file: "unknown.safetensors", metadata: { module: "another network" } },
  ]);
  assert.match((await verifyPath(unknown)).rows[0]!.note!, /no replay for "another network"/);

  const broken = path.join(folder, "broken.safetensors");
  writeFileSync(broken, "no header");
  const report = await verifyPath(broken);
  assert.equal(report.ok, false);
  assert.match(report.rows[0]!.note!, /broken\.safetensors/);

  const lacking = await copy("clip-text-tiny", "lacking", [
    { file: "lacking.safetensors", keep: (key) => !key.includes("w.text_model.final_layer_norm") },
  ]);
  const [row] = (await verifyPath(lacking)).rows;
  const both = /missing: text_model\.final_layer_norm\.weight, text_model\.final_layer_norm\.bias$/;
  assert.match(row!.note!, both);
  await assert.rejects(verifyPath(path.join(folder, "none")), { code: "ERR_CHECKPOINT" });
});

test("a part that cannot be read does not pass unseen", async () => {
  const file = await copy("rope", "halved", [{ file: "halved.safetensors" }]);
  writeFileSync(path.join(folder, "halved.grads.safetensors"), "no header");
  const { rows, ok } = await verifyPath(file);
  assert.equal(ok, false);
  assert.deepEqual(
    rows.filter((row) => !row.ok).map(({ fixture }) => fixture),
    ["halved.grads.safetensors"],
  );
});

test("token rows are skipped with their count where there are no vocabularies", async () => {
  const report = await verifyPath(path.join(golden, "tokenizers.json"));
  assert.equal(report.rows.length, 0);
  assert.deepEqual(closingLines(report), [
    "skip tokenizers: 67 rows, no vocabularies here (--tokenizers DIR)",
    "0 tensors within tolerance, 0 out, 67 skipped",
  ]);
});

const withVocabularies = "every tokenizer gives the reference's ids";
if (existsSync(vocabularies))
  test(withVocabularies, async () => {
    const file = path.join(golden, "tokenizers.json");
    const { rows, ok } = await verifyPath(file, { tokenizers: vocabularies });
    assert.ok(ok, JSON.stringify(rows.filter((row) => !row.ok)));
    assert.equal(rows.length, 6);
  });
else test.skip(withVocabularies, () => {});

test("the table has a line a fixture and one for what is out", async () => {
  const { rows } = await verifyPath(path.join(golden, "rope.safetensors"));
  const [line, ...more] = fixtureLines("rope", rows);
  assert.match(line!, /^ok {3}rope +15 tensors {2}outputs +\d\.\de-\d+ {2}gradients +\d\.\de-\d+$/);
  assert.equal(more.length, 0);
  const worse = rows.map((row, i) => (i === 3 ? { ...row, ok: false, error: 0.5 } : row));
  assert.match(fixtureLines("rope", worse)[1]!, /FAIL \S+: 5\.0e-1 of 1\.0e-[45]$/);
  assert.equal(fixtureLines("rope", rows, { all: true }).length, 16);
});
test.run();
