import { runBlock } from "../../nn/block.js";
import { linearLayer } from "../../nn/layers.js";
import { ParameterSet, type ParameterSetOptions } from "../../nn/parameter_set.js";
import { SrpoError } from "../../native/error.js";
import { attention, embedding, mul, qkvNormRope, relativeBias, rmsNorm } from "../../ops/index.js";
import { tensor, type Tensor } from "../../tensor/tensor.js";
import type { TokenIds } from "../token_ids.js";
import type { T5Config } from "./config.js";
import { t5Parameters } from "./parameters.js";

export interface T5Options {
  /** 1 for tokens, 0 for padding that is not to be seen. FLUX passes none: padding is seen. */
  readonly mask?: TokenIds;
  /** Run each block again in backward instead of keeping what it saves. Default false. */
  readonly recompute?: boolean;
  readonly trace?: ((name: string, t: Tensor) => void) | undefined;
}

/** The T5 v1.1 encoder: text tokens for FLUX. */
export class T5Encoder {
  readonly config: T5Config;
  readonly parameters: ParameterSet;

  constructor(config: T5Config, options: ParameterSetOptions = {}) {
    this.config = config;
    this.parameters = ParameterSet.create(t5Parameters(config), options);
  }

  /**
   * @param ids - texts of one length, padded
   * @returns [B, L, width], after the last norm
   */
  encode(ids: TokenIds, options: T5Options = {}): Tensor {
    const { config, parameters: w } = this;
    const { mask, recompute = false, trace } = options;
    const L = ids[0]?.length ?? 0;
    if (L < 1 || [...ids, ...(mask ?? [])].some((row) => row.length !== L))
      throw new SrpoError(
        "ERR_SHAPE",
        `t5: ids: expected texts (and masks) of one length, got ` +
          `[${[...ids, ...(mask ?? [])].map((row) => row.length).join(", ")}]`,
      );
    const keyMask =
      mask === undefined
        ? {}
        : { keyMask: tensor(mask.flat(), [mask.length, L], { dtype: "int32", device: w.device }) };

    let x = embedding(w.get("shared.weight"), ids); // not scaled; no absolute positions
    // One table, in the first block, serves them all.
    const { buckets, maxDistance } = config;
    const bias = relativeBias(w.get("relative_bias.weight"), L, { buckets, maxDistance });
    for (let i = 0; i < config.layers; ++i) {
      trace?.(`hidden.${i}`, x);
      const run = (...[t, b]: Tensor[]) => [this.#block(i, t!, b!, keyMask)];
      const spent = trace === undefined ? [x] : [];
      [x] = runBlock(run, [x, bias], {
        recompute: recompute && trace === undefined,
        trainable: w.trainable,
        name: `encoder.block.${i}`,
        spent,
      }) as [Tensor];
    }
    return this.#norm("final_norm", x);
  }

  /** x += o(attention(norm1(x)) + bias); x += wo(gelu(wi_0(h)) * wi_1(h)), h = norm2(x). */
  #block(index: number, x: Tensor, bias: Tensor, keyMask: { keyMask?: Tensor }): Tensor {
    const { heads } = this.config;
    const { parameters: w } = this;
    const at = (name: string) => `block.${index}.${name}`;
    const qkv = linearLayer(w, at("qkv"), this.#norm(at("norm1"), x));
    const [q, k, v] = qkvNormRope([{ qkv }], { heads });
    const attended = attention(q, k, v, { scale: 1, bias, ...keyMask });
    const y = linearLayer(w, at("o"), attended, { residual: x });
    const h = this.#norm(at("norm2"), y);
    const gated = mul(
      linearLayer(w, at("wi_0"), h, { act: "gelu-tanh" }),
      linearLayer(w, at("wi_1"), h),
    );
    return linearLayer(w, at("wo"), gated, { residual: y });
  }

  #norm(name: string, x: Tensor): Tensor {
    return rmsNorm(x, this.parameters.get(`${name}.weight`), { eps: this.config.eps });
  }

  dispose(): void {
    this.parameters.dispose();
  }
}
