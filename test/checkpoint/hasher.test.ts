// Hashes by the thread are hashes; a large file is written without holding the event loop up.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { suite } from "uvu";
import { saveFolder, verifyManifest } from "../../ts/checkpoint/folder.js";
import { Hasher } from "../../ts/checkpoint/hasher.js";
import { heldOnHost } from "../../ts/checkpoint/write.js";
import { tensor } from "../../ts/tensor/tensor.js";
import { uniforms } from "../support/index.js";
import { fresh } from "./files.js";

const test = suite("Hasher");
const bytesOf = (count: number) => Uint8Array.from(uniforms(count, 3, 0, 256));
const expected = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

test("is SHA-256, whatever the pieces", async () => {
  for (const pieces of [[], [0], [5, 7], [1 << 20], [1 << 20, 1], [3, 70_000, 1_300_000, 2]]) {
    const bytes = bytesOf(pieces.reduce((sum, n) => sum + n, 0));
    const hasher = new Hasher();
    let at = 0;
    for (const n of pieces) {
      const piece = bytes.slice(at, at + n);
      await hasher.update(piece);
      piece.fill(0); // it is the caller's again
      at += n;
    }
    assert.equal(await hasher.digest(), expected(bytes), String(pieces));
  }
});

test("two at a time do not mix", async () => {
  const [a, b] = [bytesOf(1_200_000), bytesOf(1_300_000).toReversed()];
  const hashers = [a, b].map(() => new Hasher());
  await Promise.all([a, b].map((bytes, i) => hashers[i]!.update(bytes)));
  const digests = await Promise.all(hashers.map((hasher) => hasher.digest()));
  assert.deepEqual(digests, [a, b].map(expected));
});

test("saving 256 MB leaves the event loop free for what comes within 50 ms", async () => {
  const place = fresh("large");
  const values = tensor(new Float32Array(32 << 20).fill(0.5));
  const read = new Uint8Array(128 << 20).fill(7);
  const entries = [
    { name: "values", tensor: values },
    { name: "read", read: () => read, dtype: "U8", shape: [read.length] },
  ] as const;
  // The processor's time of this thread from one turn of the loop to the next: what other processes take
  // does not count.
  const used = () =>
    Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, "utf8").split(" ")[0]) / 1e6;
  const turns: number[] = [];
  let last = used();
  const timer = setInterval(() => {
    const now = used();
    turns.push(now - last);
    last = now;
  }, 1);
  await saveFolder(place, (folder) => folder.safetensors("a.safetensors", entries));
  clearInterval(timer);
  values.dispose();
  const longest = Math.max(...turns);
  console.log(`event loop: ${turns.length} turns, at most ${longest.toFixed(0)} ms`);
  assert.ok(turns.length > 100 && longest < 50, `${turns.length} turns, ${longest} ms`);
  await verifyManifest(place);
  rmSync(place, { recursive: true });
});

test("what is held on the host is what was there, once", async () => {
  const values = tensor([1, 2, 3]);
  const held = await heldOnHost([
    { name: "a", tensor: values },
    { name: "b", tensor: values, dtype: "BF16" },
    { name: "c", read: () => Uint8Array.of(9), dtype: "U8", shape: [1] },
  ]);
  values.zero();
  const place = fresh("held");
  await saveFolder(place, (folder) => folder.safetensors("a.safetensors", held));
  const bytes = readFileSync(`${place}/a.safetensors`);
  const floats = [0, 1, 2].map((i) => bytes.readFloatLE(bytes.length - 19 + 4 * i));
  assert.deepEqual(floats, [1, 2, 3]);
  assert.equal(bytes.at(-1), 9);
  await assert.rejects(
    saveFolder(fresh("again"), (folder) => folder.safetensors("a.safetensors", held)),
    /a: expected 12 bytes, got 0/,
  );
});

test.run();
