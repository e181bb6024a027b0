// The nearest setting that fits: as few changes as it takes, the cheapest first.
import { planOf, type Plan, type PlanRequest } from "./plan.js";

interface Change {
  /** As a user would say it. */
  says: string;
  /** Whether `train` of this version has it. */
  there: boolean;
  /** The request with the change; undefined where it is so already. */
  make(request: PlanRequest): PlanRequest | undefined;
}

const option =
  (values: Readonly<Partial<PlanRequest["config"]>>): Change["make"] =>
  (request) =>
    Object.entries(values).every(([name, value]) => request.config[name as never] === value)
      ? undefined
      : { ...request, config: { ...request.config, ...values } };

const roundedGradients: Change["make"] = (request) =>
  request.config.precision === "bf16" ? option({ gradDtype: "bfloat16" })(request) : undefined;

const factors: Change["make"] = (request) =>
  request.config.loraRank === 0 ? option({ modulationGradients: "factors" })(request) : undefined;

/** Never back to more bits than are asked for. */
const fewerBits =
  (moments: "bfloat16" | "8bit"): Change["make"] =>
  (request) =>
    request.config.moments === "8bit" ? undefined : option({ moments })(request);

const layout =
  (values: NonNullable<PlanRequest["layout"]>): Change["make"] =>
  (request) =>
    Object.entries(values).every(([name, value]) => request.layout?.[name as never] === value)
      ? undefined
      : { ...request, layout: { ...request.layout, ...values } };

const gpus =
  (many: number, nodes: number): Change["make"] =>
  (request) =>
    request.machine.card !== "cpu" && request.machine.gpus * request.machine.nodes < many * nodes
      ? {
          ...request,
          machine: { ...request.machine, gpus: many, nodes },
          layout: { ...request.layout, sharding: request.layout?.sharding ?? "zero1" },
        }
      : undefined;

const smaller: Change["make"] = (request) =>
  request.config.height > 512 || request.config.width > 512
    ? option({
        height: Math.min(512, request.config.height),
        width: Math.min(512, request.config.width),
      })(request)
    : undefined;

const sharded =
  (sharding: "zero1" | "zero2" | "zero3"): Change["make"] =>
  (request) =>
    request.machine.gpus * request.machine.nodes > 1 ? layout({ sharding })(request) : undefined;

// In the order of what they cost: nothing, time, exactness, other machines.
const changes: readonly Change[] = [
  {
    says: "--embeddings (preprocess first)",
    there: true,
    make: option({ embeddings: "embeddings" }),
  },
  { says: "--branches-together false", there: true, make: option({ branchesTogether: false }) },
  { says: "--micro-batch 1", there: true, make: option({ microBatch: 1 }) },
  { says: "--recompute-vae", there: true, make: option({ recomputeVae: true }) },
  { says: "--recompute all", there: true, make: option({ recompute: "all" }) },
  { says: "--ema 0", there: true, make: option({ ema: 0 }) },
  { says: "--modulation-gradients factors", there: true, make: factors },
  { says: "--grad-dtype bfloat16", there: true, make: roundedGradients },
  {
    says: "--base-dtype fp8",
    there: true,
    make: (request) =>
      request.config.loraRank > 0 ? option({ baseDtype: "fp8" })(request) : undefined,
  },
  { says: "--moments bfloat16", there: true, make: fewerBits("bfloat16") },
  { says: "--rounding stochastic", there: true, make: option({ rounding: "stochastic" }) },
  { says: "--moments 8bit", there: true, make: fewerBits("8bit") },
  { says: "512 pixels a side", there: true, make: smaller },
  { says: "sharding zero1", there: true, make: sharded("zero1") },
  { says: "sharding zero2", there: true, make: sharded("zero2") },
  { says: "8 GPUs", there: false, make: gpus(8, 1) },
  { says: "32 GPUs on 4 nodes", there: false, make: gpus(8, 4) },
  { says: "sharding zero3", there: false, make: sharded("zero3") },
];

export interface Nearest {
  changes: string[];
  plan: Plan;
}

function withChanges(request: PlanRequest, some: readonly Change[]): PlanRequest {
  return some.reduce((now, change) => change.make(now) ?? now, request);
}

/** Changes that this version has and the bytes that each alone takes less, the most first; none below a fiftieth. */
export function savings(request: PlanRequest): { says: string; bytes: number }[] {
  const { bytes } = planOf(request);
  return changes
    .flatMap((change) => {
      const changed = change.there ? change.make(request) : undefined;
      if (changed === undefined) return [];
      return [{ says: change.says, bytes: bytes - planOf(changed).bytes }];
    })
    .filter((saving) => saving.bytes > bytes / 50)
    .toSorted((a, b) => b.bytes - a.bytes);
}

/** The first changes of the list that make it fit, without those that it would fit without. */
function fewest(request: PlanRequest, able: readonly Change[]): Nearest | undefined {
  const fits = (some: readonly Change[]) => planOf(withChanges(request, some)).fits;
  let chosen: Change[] = [];
  for (const change of able) {
    if (change.make(withChanges(request, chosen)) === undefined) continue;
    chosen.push(change);
    if (fits(chosen)) break;
  }
  if (!fits(chosen)) return undefined;
  for (const change of chosen.toReversed()) {
    const without = chosen.filter((other) => other !== change);
    if (fits(without)) chosen = without;
  }
  return {
    changes: chosen.map(({ says }) => says),
    plan: planOf(withChanges(request, chosen)),
  };
}

/**
 * For a plan that does not fit: the nearest setting that does with what this version has, and with what is
 * still to come; undefined where none does.
 */
export function nearestThatFits(request: PlanRequest): {
  today: Nearest | undefined;
  later: Nearest | undefined;
} {
  const there = changes.filter((change) => change.there);
  const today = fewest(request, there);
  return { today, later: today === undefined ? fewest(request, changes) : undefined };
}
