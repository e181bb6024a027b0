import { noGrad } from "../../autograd/tape.js";
import { SrpoError } from "../../native/error.js";
import { Lora, loraName, type LoraPart } from "../../nn/lora.js";
import { globalNorm, matmul, sub } from "../../ops/index.js";
import { release, tensorScope } from "../../tensor/scope.js";
import { tensorFromBytes, zeros, type Tensor } from "../../tensor/tensor.js";
import type { ParameterStream } from "../convert/stream.js";
import type { FluxConfig } from "../flux/config.js";
import { fluxParameters } from "../flux/parameters.js";
import { loraParts } from "./layers.js";
import { lowRank } from "./low_rank.js";

export interface ExtractOptions {
  readonly rank: number;
  /** See `loraParts`. */
  readonly layers: readonly string[];
  /** Told after each layer. */
  readonly onLayer?: (done: number, all: number) => void;
}

export interface Extracted {
  readonly lora: Lora;
  /** The share of the squared change of all weights that the LoRA holds, 1 for all of it. */
  readonly captured: number;
  /** The share that lies in weights that the LoRA leaves alone: biases, norms, other layers. */
  readonly outside: number;
}

/** tuned - base of a parameter, a tensor of its own. */
async function changeOf(
  tuned: ParameterStream,
  base: ParameterStream,
  name: string,
): Promise<Tensor> {
  const [a, b] = [await tuned.get(name), await base.get(name)];
  return release(noGrad(() => sub(a.get(name), b.get(name))));
}

async function squared(x: Tensor): Promise<number> {
  using scope = tensorScope();
  void scope;
  return (await globalNorm(x.viewOf(0, [x.size])).item()) ** 2;
}

const matrix = (values: Float32Array, shape: readonly number[]) =>
  tensorFromBytes(new Uint8Array(values.buffer), shape, { dtype: "float32" });

/** A part's matrices from the rows of its weight's change; those rows squared, and what of them it does not hold. */
async function fill(
  lora: Lora,
  part: LoraPart,
  change: Tensor,
): Promise<{ covered: number; missed: number }> {
  using scope = tensorScope();
  void scope;
  const { row, rows, inputs, rank } = part;
  const wanted = zeros([rows, inputs]);
  wanted.copyFrom(change.viewOf(row * inputs, [rows, inputs]));
  const { a, b } = await lowRank(wanted, { rank });
  const [down, up] = [matrix(a, [rank, inputs]), matrix(b, [rows, rank])];
  const name = loraName(part);
  lora.parameters.get(`${name}.A`).copyFrom(down);
  lora.parameters.get(`${name}.B`).copyFrom(up);
  const missed = await squared(noGrad(() => sub(wanted, matmul(up, down))));
  return { covered: await squared(wanted), missed };
}

/**
 * The LoRA that comes nearest to a fine-tune of all weights: of each layer's change the largest singular values.
 *
 * @param tuned - and `base`: float32 streams of the same model
 * @throws SrpoError ERR_CONFIG where nothing has changed
 */
export async function extractLora(
  tuned: ParameterStream,
  base: ParameterStream,
  config: FluxConfig,
  { rank, layers, onLayer }: ExtractOptions,
): Promise<Extracted> {
  const parts = loraParts(config, { rank, layers }).map((part) => {
    const own = Math.min(rank, part.rows, part.inputs);
    return { ...part, rank: own, factor: 1 };
  });
  const lora = new Lora(parts);
  try {
    let [all, left, outside] = [0, 0, 0];
    let done = 0;
    for (const { name } of fluxParameters(config)) {
      const change = await changeOf(tuned, base, name);
      try {
        const total = await squared(change);
        if (!Number.isFinite(total))
          throw new SrpoError("ERR_NOT_FINITE", `${name}: expected finite weights, got others`);
        all += total;
        const part = parts.find(({ weight }) => weight === name);
        if (part === undefined) outside += total;
        else {
          const { covered, missed } = await fill(lora, part, change);
          outside += Math.max(0, total - covered);
          left += missed;
          onLayer?.(++done, parts.length);
        }
      } finally {
        change.dispose();
      }
    }
    if (all === 0)
      throw new SrpoError(
        "ERR_CONFIG",
        "extract: expected a model that differs from its base, got the same weights",
      );
    return { lora, captured: 1 - (left + outside) / all, outside: outside / all };
  } catch (error) {
    lora.dispose();
    throw error;
  }
}
