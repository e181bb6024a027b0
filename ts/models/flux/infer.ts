import { SrpoError } from "../../native/error.js";
import type { TensorSource } from "../../nn/load.js";
import { fluxDev, type FluxConfig } from "./config.js";
import { detectFluxNaming } from "./names.js";

type Shapes = Pick<TensorSource, "origin" | "names" | "shape">;

/** How many blocks `<stem>.N.` there are: one more than the largest N. */
function blocks(names: readonly string[], stem: string): number {
  const numbers = names
    .filter((name) => name.startsWith(`${stem}.`))
    .map((name) => Number(/^\d{1,4}\b/.exec(name.slice(stem.length + 1))?.[0] ?? -1));
  return numbers.reduce((most, n) => Math.max(most, n), -1) + 1;
}

/**
 * The sizes of a transformer that comes without a config, told from its tensors' shapes. What shapes do not
 * tell is FLUX.1's: theta 10000, and for heads of 128 channels the axes 16, 56, 56.
 *
 * @param axes - of heads of another size, where the caller knows them
 * @throws SrpoError ERR_CHECKPOINT for what has no FLUX transformer in it
 */
export function inferFluxConfig(source: Shapes, axes?: readonly number[]): FluxConfig {
  const all = [...source.names()];
  const { naming, prefix } = detectFluxNaming(all);
  const bfl = naming === "bfl";
  const refuse = (expected: string, got: string): never => {
    throw new SrpoError(
      "ERR_CHECKPOINT",
      `${source.origin}: transformer: expected ${expected}, got ${got}`,
    );
  };
  const names = new Set(all);
  const size = (name: string, dim: number): number => {
    const full = prefix + name;
    const shape = names.has(full) ? source.shape(full) : undefined;
    if (shape?.[dim] === undefined)
      return refuse(
        `FLUX's tensor ${full}`,
        shape === undefined ? "none" : `[${shape.join(", ")}]`,
      );
    return shape[dim];
  };
  const of = (ours: string, theirs: string) => (bfl ? ours : theirs);
  const [double, single] = [
    of("double_blocks", "transformer_blocks"),
    of("single_blocks", "single_transformer_blocks"),
  ];
  const hidden = size(of("img_in.weight", "x_embedder.weight"), 0);
  const depth = blocks(all, prefix + double);
  const headSize =
    depth > 0
      ? size(of(`${double}.0.img_attn.norm.query_norm.scale`, `${double}.0.attn.norm_q.weight`), 0)
      : size(of(`${single}.0.norm.query_norm.scale`, `${single}.0.attn.norm_q.weight`), 0);
  const mlp =
    depth > 0
      ? size(of(`${double}.0.img_mlp.0.weight`, `${double}.0.ff.net.0.proj.weight`), 0)
      : size(of(`${single}.0.linear2.weight`, `${single}.0.proj_out.weight`), 1) - hidden;
  if (headSize === 0 || hidden % headSize !== 0)
    refuse(`heads that divide ${hidden} channels`, `heads of ${headSize}`);
  const known = headSize === fluxDev.headSize ? fluxDev.axes : axes;
  if (known === undefined || known.reduce((sum, n) => sum + n, 0) !== headSize)
    return refuse(
      `FLUX.1's heads of ${fluxDev.headSize} channels, or a config.json that has axes_dims_rope`,
      `heads of ${headSize} and no config`,
    );
  return {
    inChannels: size(of("img_in.weight", "x_embedder.weight"), 1),
    outChannels: size(of("final_layer.linear.weight", "proj_out.weight"), 0),
    depth,
    depthSingleBlocks: blocks(all, prefix + single),
    heads: hidden / headSize,
    headSize,
    contextSize: size(of("txt_in.weight", "context_embedder.weight"), 1),
    vectorSize: size(
      of("vector_in.in_layer.weight", "time_text_embed.text_embedder.linear_1.weight"),
      1,
    ),
    guidance: names.has(
      prefix +
        of("guidance_in.in_layer.weight", "time_text_embed.guidance_embedder.linear_1.weight"),
    ),
    axes: known,
    theta: fluxDev.theta,
    mlpRatio: mlp / hidden,
  };
}
