// Embeddings at FLUX.1-dev's size through the writer alone: few prompts' memory, whole files, and going on.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import {
  EmbeddingWriter,
  type EmbeddingJob,
  type EmbeddingRows,
} from "../../ts/data/embedding_writer.js";
import { EmbeddingFolder } from "../../ts/data/embeddings.js";
import { collectGarbage } from "../support/index.js";

const test = suite("embedding writer");
const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-embeddings-"));
test.after(() => {
  rmSync(folder, { recursive: true });
});

const small = { textLength: 3, textWidth: 8, pooledWidth: 4 };
const full = { textLength: 512, textWidth: 4096, pooledWidth: 768 };

function jobOf(count: number, more: Partial<EmbeddingJob>): EmbeddingJob {
  const prompts = Array.from({ length: count }, (_, i) => `prompt ${i}`);
  return { prompts, model: "/flux", batch: 1, dtype: "bfloat16", perFile: 4, ...small, ...more };
}

/** One prompt's bytes, which its place tells. */
function rowOf({ textLength, textWidth, pooledWidth }: EmbeddingJob, place: number): EmbeddingRows {
  const filled = (size: number) => new Uint8Array(2 * size).fill(1 + (place % 100));
  return { txt: filled(textLength * textWidth), pooled: filled(pooledWidth) };
}

async function* rows(job: EmbeddingJob, [start, end]: readonly [number, number]) {
  for (let place = start; place < end; ++place) yield rowOf(job, place);
}

async function writeAll(writer: EmbeddingWriter): Promise<void> {
  for (let file = 0; file < writer.files; ++file)
    if (!writer.has(file)) await writer.write(file, rows(writer.job, writer.range(file)));
  await writer.finish();
}

test("512 x 4096 bf16 a prompt: a file of 24 prompts in the memory of a few, read back", async () => {
  const job = jobOf(27, { ...full, perFile: 24 });
  const out = path.join(folder, "full");
  const writer = await EmbeddingWriter.open(out, job);
  const promptBytes = 2 * full.textLength * full.textWidth;
  collectGarbage();
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  const watched = async function* () {
    for await (const row of rows(job, writer.range(0))) {
      collectGarbage();
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
      yield row;
    }
  };
  await writer.write(0, watched());
  assert.ok(most < 4 * promptBytes, `${most} bytes at once, a prompt has ${promptBytes}`);
  await writeAll(writer);
  using read = await EmbeddingFolder.open(out);
  for (const place of [0, 23, 24, 26]) {
    const { txt, pooled } = await read.read([place], { dtype: "bfloat16", device: "cpu" });
    assert.deepEqual(txt.shape, [1, 512, 4096]);
    const wanted = rowOf(job, place);
    assert.ok(Buffer.from(await txt.readBytes()).equals(wanted.txt), `txt of ${place}`);
    assert.ok(Buffer.from(await pooled.readBytes()).equals(wanted.pooled), `pooled of ${place}`);
    txt.dispose();
    pooled.dispose();
  }
});

test("ten thousand prompts' files are counted right, and stopped midway the next call goes on", async () => {
  const job = jobOf(10_000, { perFile: 64 });
  const calm = path.join(folder, "calm");
  await writeAll(await EmbeddingWriter.open(calm, job));
  const out = path.join(folder, "stopped");
  const first = await EmbeddingWriter.open(out, job);
  for (let file = 0; file < 3; ++file) await first.write(file, rows(job, first.range(file)));
  const breaking = async function* () {
    yield rowOf(job, 192);
    await Promise.resolve();
    throw new Error("the lights went out");
  };
  await assert.rejects(first.write(3, breaking()), /the lights went out/);
  assert.ok(!existsSync(out));
  const again = await EmbeddingWriter.open(out, job);
  assert.deepEqual(
    [0, 1, 2, 3].map((file) => again.has(file)),
    [true, true, true, false],
  );
  assert.equal(again.done, 192);
  await writeAll(again);
  assert.ok(!existsSync(again.part));
  const names = readdirSync(calm).toSorted();
  assert.equal(names.length, Math.ceil(10_000 / 64) + 3); // index, manifest, prompts
  assert.deepEqual(readdirSync(out).toSorted(), names);
  for (const name of names)
    assert.ok(readFileSync(path.join(out, name)).equals(readFileSync(path.join(calm, name))), name);
});

test("what another job has left is not gone on with", async () => {
  const out = path.join(folder, "other");
  const job = jobOf(5, {});
  await EmbeddingWriter.open(out, job);
  for (const [other, names] of [
    [{ ...job, dtype: "float32" }, "dtype"],
    [{ ...job, prompts: [...job.prompts.slice(1), "new"] }, "promptsSha256"],
    [{ ...job, model: "/schnell", perFile: 5 }, "model, perFile|perFile, model"],
  ] as const)
    await assert.rejects(EmbeddingWriter.open(out, other), (error: Error & { code: string }) => {
      assert.equal(error.code, "ERR_CONFIG");
      assert.match(error.message, new RegExp(`got another (?:${names}); remove it to begin anew`));
      return true;
    });
});

test("more or fewer rows than the file has are refused, and leave no file", async () => {
  const job = jobOf(6, {});
  const writer = await EmbeddingWriter.open(path.join(folder, "wrong"), job);
  for (const range of [
    [0, 3],
    [0, 5],
  ] as const)
    await assert.rejects(writer.write(0, rows(job, range)), /txt: expected 192 bytes, got/);
  assert.equal(writer.has(0), false);
  const full = path.join(folder, "calm");
  await assert.rejects(EmbeddingWriter.open(full, job), /out: expected a new or empty folder/);
});

test.run();
