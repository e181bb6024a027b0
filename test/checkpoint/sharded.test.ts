import assert from "node:assert/strict";
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { FolderWriter } from "../../ts/checkpoint/folder_writer.js";
import type { TensorStore } from "../../ts/checkpoint/tensor_store.js";
import { openParts, openTensors } from "../../ts/checkpoint/sharded.js";
import { writeSafetensors, type TensorToWrite } from "../../ts/checkpoint/write.js";
import { zeros } from "../../ts/tensor/tensor.js";
import { fresh, raw } from "./files.js";

const test = suite("sharded checkpoints");

/** A tensor of float32 numbers. */
const values = (name: string, ...numbers: number[]): TensorToWrite => ({
  name,
  dtype: "F32",
  shape: [numbers.length],
  read: () => new Uint8Array(Float32Array.from(numbers).buffer),
});

const read = async (store: TensorStore, name: string) => [...(await store.read(name).read())];

function newFolder(): string {
  const folder = fresh("shards");
  mkdirSync(folder);
  return folder;
}

/** A folder with two shards, a [1, 2] and b [3], and this index. */
async function withIndex(weightMap: unknown, name = "model"): Promise<string> {
  const folder = newFolder();
  await writeSafetensors(path.join(folder, "m-1.safetensors"), [values("a", 1, 2)]);
  await writeSafetensors(path.join(folder, "m-2.safetensors"), [values("b", 3)]);
  const index = JSON.stringify({ metadata: { total_size: 12 }, weight_map: weightMap });
  writeFileSync(path.join(folder, `${name}.safetensors.index.json`), index);
  return folder;
}

const good = { a: "m-1.safetensors", b: "m-2.safetensors" };

const refused = (place: string, message: string | RegExp) =>
  assert.throws(() => openTensors(place), { code: "ERR_CHECKPOINT", message });

test("shards are one space of names, by folder or by index", async () => {
  const folder = await withIndex(good);
  for (const place of [folder, path.join(folder, "model.safetensors.index.json")]) {
    using store = openTensors(place);
    assert.deepEqual([...store.names()], ["a", "b"]);
    assert.deepEqual(await read(store, "a"), [1, 2]);
    assert.deepEqual(store.shape("b"), [1]);
    const both = zeros([3]);
    await store.readInto("a", both.viewOf(1, [2]));
    await store.readInto("b", both.viewOf(0, [1]));
    assert.deepEqual([...(await both.read())], [3, 1, 2]);
    assert.throws(() => store.read("c"), {
      code: "ERR_CHECKPOINT",
      message: `${store.origin}: c: expected a tensor of this name, got none`,
    });
  }
});

test("a folder with one file, and with none or several", async () => {
  const folder = newFolder();
  refused(
    folder,
    `${folder}: folder: expected one file of tensors (.safetensors, .bin, .pt, .pth, .ckpt) or one .index.json, got none`,
  );
  await writeSafetensors(path.join(folder, "x.safetensors"), [values("a", 1)]);
  using only = openTensors(folder);
  assert.deepEqual(await read(only, "a"), [1]);
  await writeSafetensors(path.join(folder, "y.safetensors"), [values("a", 2)]);
  refused(folder, /got x\.safetensors, y\.safetensors; name the file$/);
  await writeSafetensors(path.join(folder, "model.safetensors"), [values("a", 3)]);
  using usual = openTensors(folder);
  assert.deepEqual(await read(usual, "a"), [3]);
  refused(path.join(folder, "z"), /z: file: expected a readable file, got No such file/);
});

test("everything that is wrong with an index is named at once", async () => {
  const folder = await withIndex({
    ...good,
    c: "m-2.safetensors",
    d: "gone.safetensors",
    e: "../m-1.safetensors",
    f: "/etc/passwd",
    g: "",
    h: "..",
    i: "sub/m.safetensors",
    j: "link.safetensors",
    k: "bad.safetensors",
    l: "..\\m.safetensors",
    m: "nul\0.safetensors",
  });
  const outside = newFolder();
  await writeSafetensors(path.join(outside, "o.safetensors"), [values("j", 1)]);
  symlinkSync(path.join(outside, "o.safetensors"), path.join(folder, "link.safetensors"));
  renameSync(raw("{", 0), path.join(folder, "bad.safetensors"));
  assert.throws(
    () => openTensors(folder),
    (error: Error) => {
      for (const part of [
        '"gone.safetensors": expected a file, got none',
        '"../m-1.safetensors": expected the name of a .safetensors file in the folder',
        '"/etc/passwd": expected the name of',
        '"": expected the name of',
        '"..": expected the name of',
        '"sub/m.safetensors": expected the name of',
        '"..\\\\m.safetensors": expected the name of',
        '"link.safetensors": expected a file in the folder, got a link out of it',
        "bad.safetensors: header: expected a length of 8 bytes and a header",
        "c: expected in m-2.safetensors, got none there",
        '"nul\\u0000.safetensors"',
      ])
        assert.ok(error.message.includes(part), `${part} in ${error.message}`);
      assert.ok(!error.message.includes("\n"));
      return true;
    },
  );
});

test("a tensor in two shards, and a hundred that are missing", async () => {
  const folder = await withIndex(good);
  await writeSafetensors(path.join(folder, "m-2.safetensors"), [values("b", 3), values("a", 4)]);
  const index = path.join(folder, "model.safetensors.index.json");
  refused(folder, `${index}: a: expected in one shard, got in m-1.safetensors, m-2.safetensors`);
  const missing = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`x${i}`, good.a]));
  const other = await withIndex({ ...good, ...missing });
  refused(other, /: x0: expected in m-1\.safetensors, got none there; .*; and 80 more problems$/);
});

test("an index that is no index", async () => {
  const folder = newFolder();
  const index = path.join(folder, "model.safetensors.index.json");
  for (const [text, message] of [
    ["", "file: expected JSON, got Unexpected end of JSON input"],
    ["[]", "weight_map: expected an object of file names, got none"],
    ['{"weight_map":[]}', "weight_map: expected an object of file names, got something else"],
    ['{"weight_map":{"a":1}}', "weight_map: expected a file name for a, got number"],
    ['{"weight_map":{"a":"x","\\u0061":"y"}}', "file: expected each key once, got a twice"],
    ['{"weight_map":{},"weight_map":{}}', "file: expected each key once, got weight_map twice"],
  ] as const) {
    writeFileSync(index, text);
    refused(folder, `${index}: ${message}`);
  }
  writeFileSync(index, Buffer.from([0x7b, 0xff, 0x7d]));
  refused(folder, /: file: expected JSON, got The encoded data was not valid/);
  writeFileSync(index, `{"weight_map":${"[".repeat(1_000_000)}`);
  refused(folder, /: file: expected JSON, got /);
  writeFileSync(index, Buffer.alloc((32 << 20) + 1, " "));
  refused(folder, `${index}: file: expected at most 33554432 bytes, got 33554433`);
  const many = Object.fromEntries(
    Array.from({ length: 1001 }, (_, i) => [`t${i}`, `${i}.safetensors`]),
  );
  writeFileSync(index, JSON.stringify({ weight_map: many }));
  refused(folder, `${index}: weight_map: expected at most 1000 files, got 1001`);
});

test("links within a folder, and within the hub's cache, are followed", async () => {
  const hub = newFolder();
  const snapshot = path.join(hub, "snapshots", "0123");
  mkdirSync(path.join(hub, "blobs"));
  mkdirSync(snapshot, { recursive: true });
  await writeSafetensors(path.join(hub, "blobs", "ab12"), [values("a", 7)]);
  symlinkSync("../../blobs/ab12", path.join(snapshot, "m-1.safetensors"));
  await writeSafetensors(path.join(snapshot, "real.safetensors"), [values("b", 8)]);
  symlinkSync("real.safetensors", path.join(snapshot, "m-2.safetensors"));
  const index = path.join(snapshot, "model.safetensors.index.json");
  writeFileSync(index, JSON.stringify({ weight_map: good }));
  const linked = fresh("linked");
  symlinkSync(snapshot, linked);
  for (const place of [snapshot, linked]) {
    using store = openTensors(place);
    assert.deepEqual(await read(store, "a"), [7]);
    assert.deepEqual(await read(store, "b"), [8]);
  }
});

test("parts of a fixture are one space of names", async () => {
  const folder = newFolder();
  const file = (name: string) => path.join(folder, `${name}.safetensors`);
  await writeSafetensors(file("x"), [values("in.a", 1)], { module: "m" });
  await writeSafetensors(file("x.grads"), [values("grad.a", 2)], { module: "other" });
  await writeSafetensors(file("x.branch-grads"), [values("grad.b", 3)]);
  await writeSafetensors(file("x-other"), [values("in.a", 4)]);
  using parts = openParts(file("x"));
  assert.deepEqual([...parts.names()].sort(), ["grad.a", "grad.b", "in.a"]);
  assert.equal(parts.metadata.get("module"), "m");
  assert.equal(parts.files.length, 3);
  assert.deepEqual(await read(parts, "grad.b"), [3]);
  await writeSafetensors(file("x.twice"), [values("in.a", 1), values("grad.a", 2)]);
  assert.throws(() => openParts(file("x")), {
    code: "ERR_CHECKPOINT",
    message:
      `${file("x")}: in.a: expected in one part, got in x.safetensors and x.twice.safetensors; ` +
      "grad.a: expected in one part, got in x.grads.safetensors and x.twice.safetensors",
  });
});

test("tensors are split over shards of the public names", async () => {
  const folder = newFolder();
  const writer = new FolderWriter(folder);
  const tensors = [values("a", 1, 2), values("b", 3, 4, 5), values("c", 6), values("d", 7)];
  await writer.sharded("t/diffusion_pytorch_model", tensors, { maxShardBytes: 12 });
  assert.deepEqual(
    [...writer.files.keys()],
    [
      "t/diffusion_pytorch_model-00001-of-00003.safetensors",
      "t/diffusion_pytorch_model-00002-of-00003.safetensors",
      "t/diffusion_pytorch_model-00003-of-00003.safetensors",
      "t/diffusion_pytorch_model.safetensors.index.json",
    ],
  );
  using store = openTensors(path.join(folder, "t"));
  for (const [name, expected] of [
    ["a", [1, 2]],
    ["b", [3, 4, 5]],
    ["c", [6]],
    ["d", [7]],
  ] as const)
    assert.deepEqual(await read(store, name), expected);
  await writer.sharded("one", tensors, { metadata: { format: "pt" } });
  using one = openTensors(path.join(folder, "one.safetensors"));
  assert.deepEqual([...one.names()].sort(), ["a", "b", "c", "d"]);
  assert.equal(one.metadata.get("format"), "pt");
});

test.run();
