// How fast and how large devices are. Data, each with where it is from; nothing here is a guess of ours.
//
//   measured   timed by this package's bench, in a file of bench/results
//   estimate   kernels.md 2.2 and 9: the best published rate for a family of kernels, reached by other
//              people's kernels on that card; ours have not run there
//   vendor     the data sheet: a limit that no program reaches

export const rateKinds = ["measured", "estimate", "vendor"] as const;
export type RateKind = (typeof rateKinds)[number];

/** Operations a second by family of kernels, and bytes a second of an update. */
export interface Rates {
  kind: RateKind;
  source: string;
  gemm: number;
  attention: number;
  attentionBackward: number;
  convolution: number;
  update: number;
}

/** Between ranks: bytes a second and rank, seconds of a message on its way. */
export interface Links {
  kind: "predicted" | "measured";
  source: string;
  inNode: number;
  latencyInNode: number;
  /** Undefined where nothing is known of it. */
  acrossNodes?: number;
  latencyAcross?: number;
}

/** NVLink, and one 400 Gb/s adapter a GPU: what collectives are known to reach. */
export const gpuLinks = {
  kind: "predicted",
  inNode: 360e9,
  acrossNodes: 50e9,
  // Assumed, and not measured by us: through a switch of the node, and through two adapters and a switch.
  latencyInNode: 4e-6,
  latencyAcross: 12e-6,
  source:
    "360 GB/s in a node, one 400 Gb/s adapter a GPU across (kernels.md 9.4); 4 and 12 us a message, assumed",
} as const satisfies Links;

/** Processes of one machine over MPI: a reduce-scatter of 64 MiB float32, half of a one-number all-reduce. */
const mpiLinks = {
  kind: "measured",
  inNode: 5.9e9,
  latencyInNode: 13.5e-6,
  source: "bench/results/ranks-zen5-2026-11-22.json, two processes over MPI",
} as const satisfies Links;

export interface Card {
  name: string;
  /** Bytes that a program sees; undefined for the machine that this runs on. */
  memory: number | undefined;
  memorySource: string;
  /** Bytes beside the tensors: context, communicator, workspaces. */
  workspace: number;
  workspaceSource: string;
  links: Links;
  /** By the run's precision, the most trustworthy first; none where nobody has told. */
  rates: Readonly<Record<"bf16" | "f32", readonly Rates[]>>;
}

const T = 1e12;
const G = 1e9;

/** Of a family that a data sheet gives one number for. */
function vendor(flops: number, bytes: number): Rates {
  return {
    kind: "vendor",
    source: "data sheet, dense bf16 and HBM (kernels.md 1)",
    gemm: flops,
    attention: flops,
    attentionBackward: flops,
    convolution: flops,
    update: bytes,
  };
}

const estimate = { kind: "estimate", source: "kernels.md 2.2, 9.1" } as const;
const planned = {
  workspace: 4 * G,
  workspaceSource: "kernels.md 3.1: plan 4 GB",
  links: gpuLinks,
} as const;

export const cpuResults = "bench/results/cpu-zen5-2026-11-22.json";
const measured = { kind: "measured", source: `${cpuResults}, two cores of an AMD EPYC` } as const;

export const cards = {
  h20: {
    name: "H20",
    memory: 102 * G,
    memorySource: "reported by the driver, about 102 GB (kernels.md 1)",
    ...planned,
    rates: {
      bf16: [
        {
          ...estimate,
          gemm: 140 * T,
          attention: 130 * T,
          attentionBackward: 120 * T,
          // 20.2 TFLOP of VAE in 0.19 s
          convolution: 106 * T,
          update: 3.4 * T,
        },
        vendor(148 * T, 4.0 * T),
      ],
      f32: [],
    },
  },
  h100: {
    name: "H100 SXM",
    memory: 85.5 * G,
    memorySource: "reported by the driver (kernels.md 1)",
    ...planned,
    rates: {
      bf16: [
        {
          ...estimate,
          gemm: 700 * T,
          attention: 650 * T,
          attentionBackward: 530 * T,
          convolution: 505 * T,
          update: 2.9 * T,
        },
        vendor(989 * T, 3.35 * T),
      ],
      f32: [],
    },
  },
  h200: {
    name: "H200 SXM",
    memory: 150.8 * G,
    memorySource: "reported by the driver, 143771 MiB (kernels.md 1)",
    ...planned,
    rates: {
      bf16: [
        {
          ...estimate,
          gemm: 770 * T,
          attention: 640 * T,
          attentionBackward: 510 * T,
          convolution: 577 * T,
          update: 4.2 * T,
        },
        vendor(989 * T, 4.8 * T),
      ],
      f32: [],
    },
  },
  cpu: {
    name: "cpu",
    memory: undefined,
    memorySource: "of this machine",
    workspace: 0.3 * G,
    workspaceSource: "Node.js and kernels' own buffers, about 0.3 GB",
    links: mpiLinks,
    rates: {
      // The lines of the file that are named beside each; forward and backward together where it has only that.
      bf16: [
        {
          ...measured,
          gemm: 812.2 * G, // linear bfloat16 M=1152 N=3072 K=768 forward+backward
          attention: 524.4 * G, // attention bfloat16 B=1 N=12 L=1152 Dh=64 forward
          attentionBackward: 560.7 * G, // the same, forward+backward
          convolution: 656.7 * G, // conv2d bfloat16 [1,64,64,128]->128 3x3 forward+backward
          update: 59.9 * G, // adamwStep bfloat16
        },
      ],
      f32: [
        {
          ...measured,
          gemm: 373.7 * G,
          attention: 309.3 * G,
          attentionBackward: 330.9 * G,
          convolution: 371.7 * G,
          update: 63.3 * G,
        },
      ],
    },
  },
} as const satisfies Readonly<Record<string, Card>>;

export type CardName = keyof typeof cards;
export const cardNames = Object.keys(cards) as CardName[];
