import assert from "node:assert/strict";
import { dequantizeRows, quantizeRows } from "../../../ts/ops/index.js";
import { tensor, tensorFromBytes, zeros, type Tensor } from "../../../ts/tensor/tensor.js";
import { assertSameBitsForThreads, forEachDevice, refuses, uniforms } from "../../support/index.js";

/** What a code of F8_E4M3 stands for, from its definition. */
function valueOf(code: number): number {
  const [sign, exponent, mantissa] = [code >> 7, (code >> 3) & 15, code & 7];
  if ((code & 0x7f) === 0x7f) return NaN;
  const magnitude = exponent === 0 ? mantissa * 2 ** -9 : (1 + mantissa / 8) * 2 ** (exponent - 7);
  return sign === 1 ? -magnitude : magnitude;
}
const finite = Array.from({ length: 256 }, (_, code) => code).filter((c) => (c & 0x7f) !== 0x7f);

forEachDevice("quantizeRows", (test, device) => {
  const outputs = (R: number, C: number) =>
    [zeros([R, C], { dtype: "uint8", device }), zeros([R], { device })] as const;
  const quantized = (x: Tensor) => {
    const [codes, scales] = outputs(x.dim(0), x.dim(1));
    quantizeRows(x, codes, scales);
    return { codes, scales };
  };
  const bytes = async (t: Tensor) => new Uint8Array(await t.readBytes());

  test("every code is its definition's value, and comes back", async () => {
    const codes = tensorFromBytes(Uint8Array.from({ length: 256 }, (_, i) => i), [1, 256], { dtype: "uint8", device });
    const one = tensor([1], [1], { device });
    const values = await dequantizeRows(codes, one, "float32").read();
    assert.deepEqual([...values], Array.from({ length: 256 }, (_, code) => valueOf(code)));
    // 448 is among them: the scale is 1.
    const x = tensor(finite.map(valueOf), [1, finite.length], { device });
    const back = quantized(x);
    assert.deepEqual([...(await back.scales.read())], [1]);
    assert.deepEqual([...(await bytes(back.codes))], finite);
  }); // prettier-ignore

  for (const dtype of ["float32", "bfloat16"] as const)
    test(`${dtype}: each number goes to the nearest code, ties to even`, async () => {
      const [R, C] = [5, 203];
      const x = tensor(uniforms(R * C, 3, -1, 1).map((u, i) => u ** 5 * 10 ** ((i % 9) - 4)), [R, C], { device, dtype });
      const values = await x.read();
      const { codes, scales } = quantized(x);
      const [codesRead, scalesRead] = [await bytes(codes), await scales.read()];
      const sorted = finite.filter((c) => c < 0x80).map(valueOf);
      for (let r = 0; r < R; ++r) {
        const row = Array.from(values.slice(r * C, (r + 1) * C));
        const scale = Math.fround(Math.max(...row.map(Math.abs)) / 448);
        assert.equal(scalesRead[r], scale);
        row.forEach((value, c) => {
          const magnitude = Math.abs(Math.fround(value / scale));
          const off = Math.abs(Math.abs(valueOf(codesRead[r * C + c]!)) - magnitude);
          const [best] = sorted.map((v) => Math.abs(v - magnitude)).toSorted((a, b) => a - b);
          assert.equal(off, best, `${value}`);
        });
      }
      const again = await dequantizeRows(codes, scales, dtype).read();
      const expected = tensor([...codesRead].map((code, i) => valueOf(code) * scalesRead[Math.floor(i / C)]!), [R, C], { dtype });
      assert.deepEqual(again, await expected.read());
    }); // prettier-ignore

  test("ties, tiny numbers and zeros", async () => {
    // With 448 in the row the scale is 1: half-way points of the mantissa, of subnormals, and below all.
    const row = [448, 17, 19, -17, 2 ** -10, 3 * 2 ** -10, 2 ** -11, 2 ** -6 - 2 ** -10, 0, -0];
    const { codes, scales } = quantized(tensor(row, [1, row.length], { device }));
    const found = await dequantizeRows(codes, scales, "float32").read();
    assert.deepEqual([...found], [448, 16, 20, -16, 0, 2 * 2 ** -9, 0, 2 ** -6, 0, -0]);
    const nothing = quantized(zeros([2, 3], { device }));
    assert.deepEqual([...(await nothing.scales.read())], [1, 1]);
    assert.deepEqual([...(await bytes(nothing.codes))], [0, 0, 0, 0, 0, 0]);
  });

  test("a value that is not finite makes its row's scale so, and no other's", async () => {
    const x = tensor([1, NaN, 3, 1, 2, 448, -Infinity, 0, 1], [3, 3], { device });
    const found = await quantized(x).scales.read();
    assert.ok(!Number.isFinite(found[0]) && found[1] === 1 && !Number.isFinite(found[2]));
  });

  test("rows that packs do not divide, from any start", async () => {
    const whole = tensorFromBytes(Uint8Array.from(uniforms(101, 4, 0, 126)), [101], { dtype: "uint8", device });
    const scales = tensor([0.5, 2, 3], [3], { device });
    for (const [start, C] of [[0, 32], [8, 24], [1, 32], [5, 31]] as const)
      for (const dtype of ["float32", "bfloat16"] as const) {
        const codes = whole.viewOf(start, [3, C]);
        const expected = [...(await bytes(codes))].map((code, i) => valueOf(code) * [0.5, 2, 3][Math.floor(i / C)]!);
        const found = await dequantizeRows(codes, scales, dtype).read();
        assert.deepEqual(found, await tensor(expected, [3, C], { dtype }).read());
      }
  }); // prettier-ignore

  test("the same bits for any number of threads", async () => {
    const x = tensor(uniforms(64 * 600, 6, -3, 3), [64, 600], { device });
    await assertSameBitsForThreads(() => {
      const { codes, scales } = quantized(x);
      return [dequantizeRows(codes, scales, "bfloat16")];
    });
  });

  test("each refusal names its argument", () => {
    const [codes, scales] = outputs(2, 3);
    const x = zeros([2, 3], { device });
    refuses(
      () => quantizeRows(zeros([2, 4], { device }), codes, scales),
      "ERR_SHAPE",
      "quantizeRows: x: expected [2, 3], got [2, 4]",
    );
    refuses(
      () => quantizeRows(x, x, scales),
      "ERR_DTYPE",
      "quantizeRows: codes: expected uint8, got float32",
    );
    refuses(
      () => dequantizeRows(codes, zeros([3], { device }), "float32"),
      "ERR_SHAPE",
      "dequantizeRows: scales: expected [2], got [3]",
    );
  });
});
