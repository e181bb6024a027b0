import { gradients } from "../autograd/backward.js";
import { requireGrad } from "../autograd/tape.js";
import { isJsonObject } from "../nn/config_reader.js";
import { concat, qkvNormRope, reshape, ropeTable } from "../ops/index.js";
import { SrpoError } from "../native/error.js";
import type { Tensor } from "../tensor/tensor.js";
import { interleaved } from "./flux.js";
import type { ReplayRun } from "./replay.js";

/** [B, N, L, Dh] -> the [B, L, N, Dh] of the fixture. */
async function byToken(t: Tensor): Promise<Float32Array> {
  const values = await t.read();
  const [B = 1, N = 1, L = 1, D = 1] = t.shape;
  return Float32Array.from(values, (_, i) => {
    const d = i % D;
    const n = Math.trunc(i / D) % N;
    const l = Math.trunc(i / (D * N)) % L;
    const b = Math.trunc(i / (D * N * L));
    return b < B ? values[((b * N + n) * L + l) * D + d]! : NaN;
  });
}

/** Rotary tables and the rotation of q and k, one case after the other. */
export async function replayRope(run: ReplayRun): Promise<void> {
  for (const [name, about] of Object.entries(run.fixture.config)) {
    if (!isJsonObject(about)) continue;
    const axes = about.axes;
    if (!Array.isArray(axes))
      throw new SrpoError(
        "ERR_CONFIG",
        `${name}.axes: expected a list, got ${JSON.stringify(axes)}`,
      );
    const pe = ropeTable(await run.rows(`${name}.ids`), axes as number[], 10000, run.settings);
    await run.comparison.add(`out.${name}.cos`, await interleaved(pe.cos));
    await run.comparison.add(`out.${name}.sin`, await interleaved(pe.sin));

    // The op takes q, k and v of a token side by side; v is anything.
    const q = await run.tensor(`in.${name}.q`);
    const k = await run.tensor(`in.${name}.k`);
    const [B, L, heads, size] = q.shape as [number, number, number, number];
    const flat = (t: Tensor) => reshape(t, [B, L, heads * size]);
    if (run.has(`grad.in.${name}.q`)) requireGrad(q);
    if (run.has(`grad.in.${name}.k`)) requireGrad(k);
    const qkv = concat([flat(q), flat(k), flat(k.detach())], 2);
    const [turnedQ, turnedK] = qkvNormRope([{ qkv }], { heads, rope: pe });
    await run.comparison.add(`out.${name}.q`, await byToken(turnedQ));
    await run.comparison.add(`out.${name}.k`, await byToken(turnedK));

    const cotangents: [Tensor, Tensor][] = [];
    for (const [key, output] of [
      [`g.${name}.q`, turnedQ],
      [`g.${name}.k`, turnedK],
    ] as const) {
      if (!run.has(key)) continue;
      const g = await run.tensor(key);
      // [B, L, N, Dh] -> [B, N, L, Dh] by the plain head split.
      const [byHead] = qkvNormRope([{ qkv: concat([flat(g), flat(g), flat(g)], 2) }], { heads });
      cotangents.push([output, byHead]);
    }
    if (cotangents.length === 0) continue;
    gradients(
      cotangents.map(([output]) => output),
      cotangents.map(([, g]) => g.handle),
    );
    for (const [key, leaf] of [
      [`grad.in.${name}.q`, q],
      [`grad.in.${name}.k`, k],
    ] as const)
      if (run.has(key) && leaf.grad !== undefined) await run.compare(key, leaf.grad);
  }
}
