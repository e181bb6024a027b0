import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { SafetensorsFile } from "../../ts/checkpoint/safetensors.js";
import { writeSafetensors } from "../../ts/checkpoint/write.js";
import { tensor } from "../../ts/tensor/tensor.js";
import { forEachDevice, randn } from "../support/index.js";
import { fresh } from "./files.js";

/** The part of npm's safetensors 0.0.1 that a second reader needs; its types do not resolve. */
interface SecondReader {
  readonly metadata: Map<string, { dtype: string; shape: number[] }>;
  getTensor(name: string): Uint8Array;
}
const secondReader: string = "safetensors";
const { default: second } = (await import(secondReader)) as {
  default: { SafeTensor: new (file: Uint8Array) => SecondReader };
};

forEachDevice("safetensors writing", (test, device) => {
  test("what is written is read back, in every dtype", async () => {
    const file = fresh("all.safetensors");
    const bytes = tensor([1, 2, 255], [3], { dtype: "uint8", device });
    const f32 = randn([3, 5], { device, seed: 1 });
    const bf16 = randn([7], { dtype: "bfloat16", device, seed: 2 });
    const i32 = tensor([-5, 2 ** 31 - 1], [2, 1], { dtype: "int32", device });
    const longs = BigInt64Array.from([1n, -1n]);
    await writeSafetensors(
      file,
      [
        { name: "u8", tensor: bytes },
        { name: "f32", tensor: f32 },
        { name: 'quote " and é', tensor: bf16 },
        { name: "i32", tensor: i32 },
        { name: "i64", dtype: "I64", shape: [2], read: () => new Uint8Array(longs.buffer) },
        { name: "reshaped", tensor: f32, shape: [15] },
        { name: "scalar", tensor: tensor([4], [], { device }) },
      ],
      { format: "pt", "a b": "c\n" },
    );
    using read = SafetensorsFile.open(file);
    assert.deepEqual(
      [...read.metadata],
      [
        ["format", "pt"],
        ["a b", "c\n"],
      ],
    );
    for (const [name, expected] of [
      ["u8", bytes],
      ["f32", f32],
      ['quote " and é', bf16],
      ["i32", i32],
    ] as const) {
      const back = read.read(name, { device });
      assert.equal(back.dtype, expected.dtype);
      assert.deepEqual(back.shape, expected.shape);
      assert.deepEqual(await back.readBytes(), await expected.readBytes());
    }
    assert.deepEqual(read.shape("reshaped"), [15]);
    assert.deepEqual([...(await read.read("i64", { device }).read())], [1, -1]);
    assert.deepEqual(read.shape("scalar"), []);
  });

  test("data starts at a multiple of 64 and lies at multiples of its elements", async () => {
    for (const pad of ["", "x", "yyyyyyyyyyyyyyyyyyyyyyyyyyy"]) {
      const file = fresh("aligned.safetensors");
      await writeSafetensors(file, [
        { name: `a${pad}`, tensor: tensor([1], [1], { dtype: "uint8", device }) },
        { name: "b", tensor: tensor([1, 2, 3], [3], { device }) },
      ]);
      const content = readFileSync(file);
      const length = Number(content.readBigUInt64LE());
      assert.equal((8 + length) % 64, 0);
      assert.equal(content.length, 8 + length + 13);
      assert.deepEqual(content.readFloatLE(8 + length + 8), 3);
    }
  });

  test("float32 is saved as bfloat16 when asked, and back", async () => {
    const file = fresh("half.safetensors");
    const x = randn([3000], { device });
    const y = randn([30], { device, dtype: "bfloat16", seed: 3 });
    await writeSafetensors(file, [
      { name: "x", tensor: x, dtype: "BF16" },
      { name: "y", tensor: y, dtype: "F32" },
    ]);
    using read = SafetensorsFile.open(file);
    assert.equal(read.info("x").dtype, "BF16");
    const rounded = await read.read("x", { device }).read();
    const exact = await x.read();
    assert.ok(rounded.every((v, i) => Math.abs(v - exact[i]!) <= Math.abs(exact[i]!) * 2 ** -8));
    assert.deepEqual(await read.read("y", { device }).read(), await y.read());
  });

  test("a tensor of many chunks", async () => {
    const file = fresh("large.safetensors");
    const n = (9 << 20) / 4 + 1;
    const values = Float32Array.from({ length: n }, (_, i) => i % 1021);
    await writeSafetensors(file, [{ name: "x", tensor: tensor(values, [n], { device }) }]);
    using read = SafetensorsFile.open(file);
    const back = new Float32Array(await read.read("x", { device }).readBytes());
    assert.ok(back.every((v, i) => v === values[i]));
  });

  test("an independent reader reads the same bytes", async () => {
    const file = fresh("second.safetensors");
    const x = randn([4, 3], { device });
    const y = tensor([1, 2, 3], [3], { dtype: "int32", device });
    await writeSafetensors(file, [
      { name: "x", tensor: x },
      { name: "y", tensor: y },
    ]);
    // It knows nothing of __metadata__, nor of a Buffer's offset in its pool.
    const reader = new second.SafeTensor(new Uint8Array(readFileSync(file)));
    assert.deepEqual(reader.metadata.get("x")?.shape, [4, 3]);
    assert.equal(reader.metadata.get("y")?.dtype, "I32");
    for (const [name, expected] of [
      ["x", x],
      ["y", y],
    ] as const)
      assert.deepEqual(
        Buffer.from(reader.getTensor(name)),
        Buffer.from(await expected.readBytes()),
      );
  });

  test("an old file is replaced whole, or kept when the new one fails", async () => {
    const folder = fresh("replace");
    mkdirSync(folder);
    const file = path.join(folder, "a.safetensors");
    const write = (value: number) =>
      writeSafetensors(file, [{ name: "x", tensor: tensor([value], [1], { device }) }]);
    await write(1);
    await write(2);
    const before = readFileSync(file);
    const failing = () => Promise.reject(new Error("no such luck"));
    await assert.rejects(
      writeSafetensors(file, [
        { name: "x", tensor: tensor([3], [1], { device }) },
        { name: "y", dtype: "F32", shape: [1], read: failing },
      ]),
      { code: "ERR_CHECKPOINT", message: `${file}: write: expected to write, got no such luck` },
    );
    assert.deepEqual(readFileSync(file), before);
    assert.deepEqual(readdirSync(folder), ["a.safetensors"]);
  });

  test("what cannot be written is refused by name", async () => {
    const file = fresh("never.safetensors");
    const x = tensor([1, 2], [2], { device });
    const refuses = (tensors: Parameters<typeof writeSafetensors>[1], message: string) =>
      assert.rejects(writeSafetensors(file, tensors), { code: "ERR_CHECKPOINT", message });
    await refuses(
      [
        { name: "x", tensor: x },
        { name: "x", tensor: x },
      ],
      "write: x: expected each name once, got it twice",
    );
    await refuses(
      [{ name: "__metadata__", tensor: x }],
      "write: __metadata__: expected each name once, got it twice",
    );
    await refuses([{ name: "x", tensor: x, dtype: "I32" }], "write: x: expected F32, got I32");
    await refuses([{ name: "x", tensor: x, shape: [3] }], "write: x: expected 2 elements, got [3]");
    await refuses(
      [{ name: "x", dtype: "F32", shape: [2], read: () => new Uint8Array(4) }],
      "write: x: expected 8 bytes, got 4",
    );
    await refuses(
      [{ name: "\ud800", tensor: x }],
      'write: header: expected whole characters, got "\\ud800"',
    );
  });

  test("places that cannot be written to", async () => {
    const blocked = fresh("blocked");
    writeFileSync(blocked, "a file where a folder should be");
    const x = [{ name: "x", tensor: tensor([1], [1], { device }) }];
    const inFile = path.join(blocked, "a.safetensors");
    await assert.rejects(writeSafetensors(inFile, x), {
      code: "ERR_CHECKPOINT",
      message: `${inFile}: write: expected a folder, got a file in its place (ENOTDIR)`,
    });
    const nowhere = path.join(fresh("no"), "a.safetensors");
    await assert.rejects(writeSafetensors(nowhere, x), {
      message: `${nowhere}: write: expected a folder that exists, got none (ENOENT)`,
    });
    const taken = fresh("taken");
    mkdirSync(taken);
    await assert.rejects(writeSafetensors(taken, x), {
      message: `${taken}: write: expected a file, got a folder in its place (EISDIR)`,
    });
  });
});
