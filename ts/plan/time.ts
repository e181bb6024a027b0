// Seconds of one update on one rank: operations by rate, stage by stage.
import { recomputedBlocks } from "../train/recompute.js";
import type { TrainConfig } from "../train/config.js";
import type { Picture } from "./activations.js";
import {
  shownSeconds,
  trafficOf,
  trafficSeconds,
  type Beside,
  type TrafficOptions,
} from "./collectives.js";
import { updateBytes, type Layout } from "./layouts.js";
import type { MethodCounts } from "./methods.js";
import type { PlannedModels } from "./models.js";
import type { Links, RateKind, Rates } from "./rates.js";
import {
  backwardOf,
  decoderForward,
  fluxForward,
  imageTower,
  t5Forward,
  textTower,
  workSum,
  type Work,
} from "./work.js";

export interface Stage {
  name: string;
  seconds: number;
}

/** An update's time by one kind of rate. */
export interface UpdateTime {
  kind: RateKind;
  /** Of the rates. */
  source: string;
  stages: Stage[];
  /** Of an update; stages one after the other, and what goes between ranks where no other work hides it. */
  seconds: number;
  /** Of them, between ranks; and what beside them goes between ranks under other work. */
  between: number;
  hidden: number;
}

export interface TimeOptions {
  layout: Layout;
  nodes: number;
  /** Of what goes between ranks. */
  traffic: TrafficOptions;
  links: Links;
  lora: boolean;
}

function secondsOf(work: Work, rates: Rates): number {
  return (
    work.gemm / rates.gemm +
    work.attention / rates.attention +
    work.attentionBackward / rates.attentionBackward +
    work.convolution / rates.convolution
  );
}

/** Of the transformer's blocks, those that run again in backward. */
export function shareAgain({ recompute }: TrainConfig, { transformer }: PlannedModels): number {
  const blocks = transformer.depth + transformer.depthSingleBlocks;
  return recomputedBlocks(recompute, blocks) / blocks;
}

/** What an update's stages do for one prompt. */
function promptWork(
  config: TrainConfig,
  models: PlannedModels,
  counts: MethodCounts,
  picture: Picture,
  lora: boolean,
): [name: string, work: Work][] {
  const flux = fluxForward(models.transformer, picture);
  const decoder = decoderForward(models.vae, picture);
  const tower = imageTower(models.reward);
  const { plain, differentiated, judged, seen } = counts;
  const again = shareAgain(config, models);
  const text = workSum([1, textTower(models.clip)], [1, t5Forward(models.t5, models.textLength)]);
  const judgedBack = config.recomputeVae ? 2 : 1;
  return [
    ["rollout", workSum([plain + counts.references * differentiated, flux])],
    [
      "transformer, forward and backward",
      workSum([differentiated * (1 + again), flux], [differentiated, backwardOf(flux, !lora)]),
    ],
    ["VAE", workSum([judged * judgedBack + seen, decoder], [judged, backwardOf(decoder, false)])],
    // Texts' features: wanted, unwanted or the caption; kept from one update to the next.
    [
      "reward",
      workSum(
        [judged + seen, tower],
        [judged, backwardOf(tower, false)],
        [2, textTower(models.reward.text)],
      ),
    ],
    ...(config.embeddings === undefined ? [["text encoders", text] as [string, Work]] : []),
  ];
}

/** What collectives go beside; nothing on a machine whose processors make them. */
function besideOf(
  config: TrainConfig,
  models: PlannedModels,
  { plain, together }: MethodCounts,
  picture: Picture,
  rate: Rates,
  { layout: { ranks }, links, lora }: TimeOptions,
): Beside {
  if (links.kind === "measured") return { backward: 0, forward: 0 };
  const samples = Math.min(config.microBatch, Math.ceil(config.batch / ranks));
  const flux = fluxForward(models.transformer, { ...picture, samples: 1 });
  const again = shareAgain(config, models);
  const pictures = samples * together;
  const back = workSum([pictures, backwardOf(flux, !lora)], [pictures * again, flux]);
  const first = plain > 0 ? samples : pictures;
  return { backward: secondsOf(back, rate), forward: first * secondsOf(flux, rate) };
}

/** The time of an update by each of a card's rates. */
export function updateTimes(
  config: TrainConfig,
  models: PlannedModels,
  counts: MethodCounts,
  picture: Picture,
  rates: readonly Rates[],
  options: TimeOptions,
): UpdateTime[] {
  const { layout, nodes, traffic, links } = options;
  const prompts = Math.ceil(config.batch / layout.ranks);
  const work = promptWork(config, models, counts, { ...picture, samples: 1 }, options.lora);
  return rates.map((rate) => {
    const stages: Stage[] = work.map(([name, one]) => ({
      name,
      seconds: prompts * secondsOf(one, rate),
    }));
    const bytes = counts.passes * updateBytes(layout, traffic.trained);
    stages.push({ name: "optimizer", seconds: bytes / rate.update });
    const moved = trafficOf(layout, traffic);
    const taken = trafficSeconds(moved, { ranks: layout.ranks, nodes, links });
    const all = taken.reduced + taken.gathered;
    let [between, hidden] = [0, 0];
    if (layout.ranks > 1 && all < Infinity) {
      const beside = besideOf(config, models, counts, picture, rate, options);
      between = shownSeconds(layout, traffic, moved, taken, beside);
      stages.push({ name: `between ranks, ${taken.fastest}`, seconds: between });
      hidden = all - between;
    }
    const seconds = stages.reduce((sum, stage) => sum + stage.seconds, 0);
    return { kind: rate.kind, source: rate.source, stages, seconds, between, hidden };
  });
}
