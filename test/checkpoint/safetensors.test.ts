import assert from "node:assert/strict";
import { truncateSync } from "node:fs";
import { SafetensorsFile } from "../../ts/checkpoint/safetensors.js";
import { synchronize } from "../../ts/tensor/device.js";
import type { DType } from "../../ts/tensor/dtype.js";
import { empty, zeros } from "../../ts/tensor/tensor.js";
import { forEachDevice } from "../support/index.js";
import { raw } from "./files.js";

/** A file of one tensor `x` with these bytes. */
function fileOf(dtype: string, shape: readonly number[], data: ArrayBufferView): SafetensorsFile {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const header = { x: { dtype, shape, data_offsets: [0, bytes.length] } };
  return SafetensorsFile.open(raw(JSON.stringify(header), bytes));
}

/** The value of a half, by its definition. */
function half(bits: number): number {
  const [sign, exponent, mantissa] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN;
  return exponent === 0
    ? sign * mantissa * 2 ** -24
    : sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

/** The value of an 8-bit float with `e` exponent bits, by its definition. */
function small(bits: number, e: number): number {
  const m = 7 - e;
  const bias = 2 ** (e - 1) - 1;
  const [sign, exponent, mantissa] = [bits & 128 ? -1 : 1, (bits & 127) >> m, bits & (2 ** m - 1)];
  if (e === 4 && (bits & 127) === 127) return NaN;
  if (e === 5 && exponent === 31) return mantissa === 0 ? sign * Infinity : NaN;
  return exponent === 0
    ? sign * mantissa * 2 ** (1 - bias - m)
    : sign * (1 + mantissa / 2 ** m) * 2 ** (exponent - bias);
}

/** The same numbers; a NaN is any NaN. */
function assertSame(actual: Float32Array, expected: Float32Array): void {
  assert.equal(actual.length, expected.length);
  const other = actual.findIndex((v, i) => !Object.is(v, expected[i]));
  assert.equal(other, -1, `element ${other}: ${actual[other]}, expected ${expected[other]}`);
}

forEachDevice("safetensors data", (test, device) => {
  test("every half, bfloat16 and 8-bit float becomes its value", async () => {
    const codes = Uint16Array.from({ length: 65536 }, (_, i) => i);
    using f16 = fileOf("F16", [256, 256], codes);
    const halves = await f16.read("x", { device }).read();
    assertSame(halves, Float32Array.from(codes, half));
    using bf16 = fileOf("BF16", [65536], codes);
    const words = new Float32Array(Uint32Array.from(codes, (c) => c << 16).buffer);
    assertSame(await bf16.read("x", { device, dtype: "float32" }).read(), words);
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    for (const [dtype, e] of [
      ["F8_E4M3", 4],
      ["F8_E5M2", 5],
    ] as const) {
      using f8 = fileOf(dtype, [256], bytes);
      const exact = Float32Array.from(bytes, (b) => small(b, e));
      assertSame(await f8.read("x", { device }).read(), exact);
      assertSame(await f8.read("x", { device, dtype: "float32" }).read(), exact);
    }
  });

  test("float32 is rounded to bfloat16, ties to even", async () => {
    const values = [
      1,
      1 + 2 ** -8,
      1 + 3 * 2 ** -8,
      1 + 2 ** -8 + 2 ** -20,
      -3.4e38,
      NaN,
      Infinity,
    ];
    using f32 = fileOf("F32", [7], Float32Array.from(values));
    const rounded = [1, 1, 1 + 2 ** -6, 1 + 2 ** -7, -Infinity, NaN, Infinity];
    const read = await f32.read("x", { device, dtype: "bfloat16" }).read();
    assertSame(read, Float32Array.from(rounded));
    using f64 = fileOf("F64", [7], Float64Array.from(values));
    assertSame(await f64.read("x", { device }).read(), Float32Array.from(values));
  });

  test("integers of every width become int32", async () => {
    for (const [dtype, array] of [
      ["I64", BigInt64Array.from([-(2n ** 31n), 2n ** 31n - 1n, 0n])],
      ["U64", BigUint64Array.from([0n, 2n ** 31n - 1n])],
      ["I32", Int32Array.from([-(2 ** 31), 5])],
      ["U32", Uint32Array.from([2 ** 31 - 1])],
      ["I16", Int16Array.from([-32768, 7])],
      ["U16", Uint16Array.from([65535])],
      ["I8", Int8Array.from([-128, 1])],
    ] as const) {
      using file = fileOf(dtype, [array.length], array);
      const read = file.read("x", { device });
      assert.equal(read.dtype, "int32");
      const back = [...new Int32Array(await read.readBytes())];
      assert.deepEqual(back, [...array].map(Number), dtype);
    }
    using bools = fileOf("BOOL", [3], Uint8Array.from([0, 1, 1]));
    assert.deepEqual([...(await bools.read("x", { device }).read())], [0, 1, 1]);
    assert.equal(bools.read("x", { device }).dtype, "uint8");
  });

  test("an integer that int32 cannot hold surfaces at the wait", async () => {
    using file = fileOf("I64", [3], BigInt64Array.from([1n, 2n ** 31n, -(2n ** 40n)]));
    file.read("x", { device });
    await assert.rejects(synchronize(device), {
      code: "ERR_CHECKPOINT",
      message: `read: ${file.origin}: x: expected integers of 32 bits, got a larger one at element 1`,
    });
    await synchronize(device);
  });

  test("dtypes that do not convert are refused by name", () => {
    using file = fileOf("F32", [2], Float32Array.from([1, 2]));
    for (const dtype of ["int32", "uint8", "float16"] as DType[])
      assert.throws(() => file.read("x", { device, dtype }), {
        code: "ERR_DTYPE",
        message: `${file.origin}: x: expected a dtype that converts to ${dtype}, got F32`,
      });
    using complex = fileOf("C64", [1], Float32Array.from([1, 2]));
    assert.throws(() => complex.read("x", { device }), { code: "ERR_DTYPE" });
  });

  test("tensors of many chunks, converted and not", async () => {
    const n = (5 << 20) / 2 + 3; // 10 MiB of float32: three chunks of 4 MiB
    const values = Float32Array.from({ length: n }, (_, i) => (i % 251) - 125);
    using file = fileOf("F32", [n], values);
    const same = new Float32Array(await file.read("x", { device }).readBytes());
    assert.ok(same.every((v, i) => v === values[i]));
    const rounded = await file.read("x", { device, dtype: "bfloat16" }).read();
    assert.ok(rounded.every((v, i) => v === values[i]));
  });

  test("rows go into views of a fused tensor", async () => {
    using q = fileOf("F32", [3, 2], Float32Array.from([1, 2, 3, 4, 5, 6]));
    using k = fileOf("BF16", [2, 2], Uint16Array.from([0x40e0, 0x4100, 0x4110, 0x4120]));
    const fused = zeros([4, 2], { device });
    await q.readInto("x", fused.viewOf(0, [2, 2]), { fromRow: 1 });
    await k.readInto("x", fused.viewOf(4, [1, 2]), { rows: 1 });
    await k.readInto("x", fused.viewOf(6, [2]), { fromRow: 1, rows: 1 });
    assert.deepEqual([...(await fused.read())], [3, 4, 5, 6, 7, 8, 9, 10]);
  });

  test("rows that are not there, and destinations of another size", async () => {
    using file = fileOf("F32", [3, 2], new Float32Array(6));
    const refuses = (size: number, part: { fromRow?: number; rows?: number }, message: string) =>
      assert.rejects(file.readInto("x", empty([size], { device }), part), {
        code: "ERR_SHAPE",
        message: `${file.origin}: x: ${message}`,
      });
    await refuses(2, { fromRow: 3, rows: 1 }, "expected rows within 3, got 1 from 3");
    await refuses(2, { fromRow: -1 }, "expected rows within 3, got all from -1");
    await refuses(3, {}, "expected a destination of n * 2 elements, got [3]");
    await refuses(2, { rows: 2 }, "expected a destination of 4 elements, got [2]");
    await refuses(8, {}, "expected at most 6 elements from element 0 on, got [8]");
  });

  test("matrices are turned on the way", async () => {
    const [outer, r, c] = [5, 3, 4];
    const values = Float32Array.from({ length: outer * r * c }, (_, i) => i);
    const turned = values.map((_, i) => {
      const [o, rest] = [Math.floor(i / (r * c)), i % (r * c)];
      return o * r * c + (rest % r) * c + Math.floor(rest / r);
    });
    using file = fileOf("F32", [outer, r, 2, 2], values);
    for (const dtype of ["float32", "bfloat16"] as const) {
      const weight = empty([outer, 2, 2, r], { dtype, device });
      await file.readInto("x", weight, { transposed: [r, c] });
      assert.deepEqual(await weight.read(), turned);
    }
    const part = empty([2, 2, 2, r], { device });
    await file.readInto("x", part, { fromRow: 3, transposed: [r, c] });
    assert.deepEqual(await part.read(), turned.slice(3 * r * c));
  });

  test("a file that shrinks after its header was read is an error, not a crash", async () => {
    const n = 3 << 20;
    for (const dtype of ["float32", "bfloat16"] as const) {
      using file = fileOf("F32", [n], new Float32Array(n));
      truncateSync(file.origin, 5 << 20);
      await assert.rejects(file.readInto("x", empty([n], { dtype, device })), {
        code: "ERR_CHECKPOINT",
        message:
          /^read: .*: x: expected \d+ bytes from byte \d+, got the end of the file at byte 5242880$/,
      });
    }
  });

  test("a closed file answers no more, but reads that were enqueued still run", async () => {
    const file = fileOf("F32", [2], Float32Array.from([3, 4]));
    const x = file.read("x", { device });
    file.close();
    file.close();
    assert.deepEqual([...(await x.read())], [3, 4]);
    assert.throws(() => file.read("x", { device }), { code: "ERR_DISPOSED" });
  });

  test("empty tensors and scalars", async () => {
    using none = fileOf("F32", [0, 3], new Float32Array(0));
    assert.deepEqual((await none.read("x", { device }).read()).length, 0);
    using one = fileOf("F32", [], Float32Array.from([2.5]));
    const scalar = one.read("x", { device });
    assert.deepEqual(scalar.shape, []);
    assert.equal(await scalar.item(), 2.5);
  });
});
