import { matmul } from "../../../ts/ops/index.js";
import {
  assertRelative,
  assertSameBitsForThreads,
  checkBfloat16,
  checkGradients,
  forEachDevice,
  randn,
  refuses,
  toFloat64,
} from "../../support/index.js";
import { product } from "./definitions.js";

const transposes = [
  { transposeA: false, transposeB: false },
  { transposeA: false, transposeB: true },
  { transposeA: true, transposeB: false },
  { transposeA: true, transposeB: true },
];

const shape = (batch: readonly number[], rows: number, columns: number, transposed: boolean) =>
  transposed ? [...batch, columns, rows] : [...batch, rows, columns];

forEachDevice("matmul", (test, device) => {
  for (const options of transposes) {
    const name = `A${options.transposeA ? "T" : ""} B${options.transposeB ? "T" : ""}`;
    const pair = (
      batch: readonly number[],
      [M, N, K]: readonly [number, number, number],
      dtype: "float32" | "bfloat16" = "float32",
    ) =>
      [
        randn(shape(batch, M, K, options.transposeA), { dtype, device, seed: 1 }),
        randn(shape(batch, K, N, options.transposeB), { dtype, device, seed: 2 }),
      ] as const;

    test(`${name} equals its definition`, async () => {
      for (const [batch, sizes] of [
        [[], [1, 1, 1]],
        [[3], [1, 19, 5]],
        [
          [2, 2],
          [37, 1, 11],
        ],
        [[2], [53, 67, 1]],
        [[3], [101, 71, 261]],
        [[], [13, 150, 600]],
        [[2], [72, 136, 88]],
      ] as const)
        for (const [dtype, tolerance] of [
          ["float32", 1e-6],
          ["bfloat16", 3e-3], // one rounding of the result
        ] as const) {
          const [a, b] = pair(batch, sizes, dtype);
          const [M, N, K] = sizes;
          const [x, y] = await toFloat64(a, b);
          const count = batch.reduce((total, n) => total * n, 1);
          const exact = new Float64Array(count * M * N);
          for (let s = 0; s < count; ++s)
            exact.set(
              product(x.subarray(s * M * K, (s + 1) * M * K), y.subarray(s * K * N), {
                M,
                N,
                K,
                ...options,
              }),
              s * M * N,
            );
          await assertRelative(matmul(a, b, options), exact, tolerance, sizes.join(" "));
        }
    });

    test(`${name}: gradients`, async () => {
      await checkGradients((a, b) => matmul(a, b, options), pair([2], [7, 11, 5]));
      await checkBfloat16((a, b) => matmul(a, b, options), pair([2], [30, 41, 50]));
    });
  }

  test("same bits for any number of threads", async () => {
    for (const dtype of ["float32", "bfloat16"] as const)
      await assertSameBitsForThreads(() => {
        const a = randn([2, 150, 300], { dtype, device, seed: 1 });
        const b = randn([2, 300, 170], { dtype, device, seed: 2 });
        return [matmul(a, b)];
      });
  });

  test("what does not fit is named", () => {
    const a = randn([2, 3, 4], { device });
    refuses(
      () => matmul(a, randn([2, 5, 6], { device })),
      "ERR_SHAPE",
      "matmul: b: expected the batch of [2, 3, 4] and 4 rows, got [2, 5, 6]",
    );
    refuses(
      () => matmul(a, randn([1, 4, 6], { device })),
      "ERR_SHAPE",
      "matmul: b: expected the batch of [2, 3, 4] and 4 rows, got [1, 4, 6]",
    );
    refuses(
      () => matmul(a, randn([2, 4, 6], { device, dtype: "bfloat16" })),
      "ERR_DTYPE",
      "matmul: b: expected float32, got bfloat16",
    );
    refuses(
      () => matmul(randn([3], { device }), a),
      "ERR_SHAPE",
      "matmul: a: expected [..., M, K], got [3]",
    );
  });
});
