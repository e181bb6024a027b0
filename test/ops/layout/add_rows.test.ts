import { addRows, reshape } from "../../../ts/ops/index.js";
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

const [B, L, D] = [3, 5, 97];

forEachDevice("addRows", (test, device) => {
  const inputs = () => [randn([B, L, D], { device }), randn([L, D], { device, seed: 1 })] as const;

  test("adds the same rows to every sample", async () => {
    const [x, rows] = inputs();
    const [x64, rows64] = await toFloat64(x, rows);
    const exact = x64.map((v, i) => v + rows64[i % (L * D)]!);
    await assertRelative(addRows(x, rows), exact, 1e-7);
  });

  test("backward sums the rows over the samples", async () => {
    await checkGradients((x, rows) => addRows(x, rows), inputs());
    await checkGradients((x, rows) => addRows(x, reshape(rows, [L, D])), inputs());
    await checkBfloat16((x, rows) => addRows(x, rows), inputs());
  });

  test("the bits do not depend on the number of threads", async () => {
    const x = randn([2, 300, 65], { device });
    const rows = randn([300, 65], { device });
    await assertSameBitsForThreads(() => [addRows(x, rows)]);
  });

  test("a wrong shape, dtype or rank is named", () => {
    const [x, rows] = inputs();
    refuses(
      () => addRows(x, randn([L + 1, D], { device })),
      "ERR_SHAPE",
      "addRows: rows: expected [5, 97], got [6, 97]",
    );
    refuses(
      () => addRows(x, randn([L, D], { device, dtype: "bfloat16" })),
      "ERR_DTYPE",
      "addRows: rows: expected float32, got bfloat16",
    );
    refuses(() => addRows(rows, rows), "ERR_SHAPE", "addRows: x: expected [B, L, D], got [5, 97]");
    refuses(
      () => addRows(randn([0, L, D], { device }), rows),
      "ERR_SHAPE",
      "addRows: x: expected at least one element, got [0, 5, 97]",
    );
  });
});
