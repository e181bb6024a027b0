import { exp } from "../../../ts/ops/index.js";
import {
  assertRelative,
  checkBfloat16,
  checkGradients,
  forEachDevice,
  randn,
  refuses,
  toFloat64,
} from "../../support/index.js";
import { tensor } from "../../../ts/tensor/tensor.js";

forEachDevice("exp", (test, device) => {
  for (const [dtype, tolerance] of [
    ["float32", 2e-7],
    ["bfloat16", 2 ** -8],
  ] as const)
    test(`${dtype} forward is the definition`, async () => {
      const x = randn([5, 97], { device, dtype, seed: 1, scale: 3 });
      const [values] = await toFloat64(x);
      await assertRelative(exp(x), values.map(Math.exp), tolerance);
    });

  test("backward agrees with central differences, and bfloat16 with float32", async () => {
    const inputs = [randn([7, 33], { device, seed: 2 })];
    await checkGradients((x) => exp(x), inputs);
    await checkBfloat16((x) => exp(x), inputs);
  });

  test("integers are refused", () => {
    const x = tensor([1, 2], [2], { dtype: "int32", device });
    refuses(() => exp(x), "ERR_DTYPE", "exp: x: expected float32 or bfloat16, got int32");
  });
});
