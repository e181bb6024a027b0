import path from "node:path";
import { AutoencoderDecoder, FluxPolicy, type TokenGrid } from "../../methods/flux_policy.js";
import { downsampling } from "../../models/autoencoder/config.js";
import type { Autoencoder } from "../../models/autoencoder/model.js";
import type { Flux } from "../../models/flux/model.js";
import { loadAutoencoder, loadTextEncoders, loadTransformer } from "../../models/pipeline/load.js";
import type { TextEncoders } from "../../models/pipeline/text_encoders.js";
import { TwoTowerReward } from "../../rewards/two_tower_reward.js";
import { openJudges, type Judges } from "../judges/judge.js";
import { side } from "../pretrain/pool.js";
import { readLimits, type Limits } from "./limits.js";

export interface WorldOptions {
  /** Of policy, autoencoder and text encoders; reward and judges are float32 always. Default bfloat16. */
  dtype?: "float32" | "bfloat16";
}

interface WorldParts {
  autoencoder: Autoencoder;
  text: TextEncoders;
  reward: TwoTowerReward;
  judges: Judges;
  limits: Limits;
}

/** All that is frozen in a micro folder: what a policy draws with, and what it is judged by. */
export class MicroWorld implements WorldParts {
  readonly autoencoder: Autoencoder;
  readonly text: TextEncoders;
  readonly reward: TwoTowerReward;
  readonly judges: Judges;
  readonly limits: Limits;
  readonly decoder: AutoencoderDecoder;
  /** Of the packed tokens: half the latents' height and width. */
  readonly grid: TokenGrid;

  constructor(
    readonly folder: string,
    parts: WorldParts,
    readonly dtype: "float32" | "bfloat16",
  ) {
    ({
      autoencoder: this.autoencoder,
      text: this.text,
      reward: this.reward,
      judges: this.judges,
      limits: this.limits,
    } = parts);
    const latents = side / downsampling(this.autoencoder.config);
    this.decoder = new AutoencoderDecoder(this.autoencoder, latents, latents);
    this.grid = { height: latents / 2, width: latents / 2 };
  }

  /** Of a picture's packed latents: tokens and their channels. */
  get latentShape(): readonly [tokens: number, channels: number] {
    const { height, width } = this.grid;
    return [height * width, 4 * this.autoencoder.config.latentChannels];
  }

  /** A transformer as a policy of this world's pictures; `dispose` frees the transformer too. */
  policyOf(model: Flux): FluxPolicy {
    return new FluxPolicy(model, this.grid, { timesteps: "exact" });
  }

  /** The policy of a FLUX folder: a training checkpoint, or by default this world's own. */
  async openPolicy(folder = this.folder): Promise<FluxPolicy> {
    return this.policyOf(await loadTransformer(folder, { dtype: this.dtype }));
  }

  dispose(): void {
    this.autoencoder.dispose();
    this.text.dispose();
    this.reward.dispose();
    this.judges.style.dispose();
    this.judges.attributes.dispose();
  }
}

/**
 * Opens a micro folder, as `pretrain micro` assembles it.
 *
 * @throws SrpoError ERR_CHECKPOINT, ERR_CONFIG: what is missing or does not fit, and what makes it
 * @example
 * const world = await openMicroWorld("pretrained/micro");
 * const base = await world.openPolicy();
 * const { figures, pictures } = await evaluate(world, base, { split: "tuning" });
 */
export async function openMicroWorld(
  folder: string,
  { dtype = "bfloat16" }: WorldOptions = {},
): Promise<MicroWorld> {
  const limits = readLimits(folder);
  const owned: { dispose(): void }[] = [];
  const own = <T extends { dispose(): void }>(part: T): T => {
    owned.push(part);
    return part;
  };
  try {
    const judges = await openJudges(folder);
    owned.push(judges.style, judges.attributes);
    const parts = {
      autoencoder: own(await loadAutoencoder(folder, { dtype, parts: ["encoder", "decoder"] })),
      text: own(await loadTextEncoders(folder, { dtype })),
      reward: own(
        await TwoTowerReward.load(path.join(folder, "reward"), {
          vocabulary: path.join(folder, "tokenizer"),
        }),
      ),
      judges,
      limits,
    };
    return new MicroWorld(folder, parts, dtype);
  } catch (error) {
    for (const part of owned) part.dispose();
    throw error;
  }
}
