import type { Command } from "./command.js";

/** A command's name and summary; its code is loaded when it is called, so that `--help` is quick. */
export interface CommandLoader {
  name: string;
  summary: string;
  load: () => Promise<Command>;
}

export const commands: readonly CommandLoader[] = [
  {
    name: "demo",
    summary: "SRPO on the embedded micro models: before and after, within two minutes",
    load: async () => (await import("./demo.js")).demoCommand,
  },
  {
    name: "init",
    summary: "writes a complete micro checkpoint folder with random weights",
    load: async () => (await import("./init.js")).initCommand,
  },
  {
    name: "train",
    summary: "aligns a model with a reward, from prompts to a checkpoint",
    load: async () => (await import("./train.js")).trainCommand,
  },
  {
    name: "launch",
    summary: "starts the ranks of a job on this machine and ends them together",
    load: async () => (await import("./launch.js")).launchCommand,
  },
  {
    name: "preprocess",
    summary: "prompts to cached text embeddings",
    load: async () => (await import("./preprocess.js")).preprocessCommand,
  },
  {
    name: "plan",
    summary: "memory and time of a run on N devices of a kind, before it starts",
    load: async () => (await import("./plan.js")).planCommand,
  },
  {
    name: "download",
    summary: "a repository's files from the hub, with resume and checksums",
    load: async () => (await import("./download.js")).downloadCommand,
  },
  {
    name: "sample",
    summary: "prompts to pictures",
    load: async () => (await import("./sample.js")).sampleCommand,
  },
  {
    name: "score",
    summary: "pictures and prompts to a table of rewards",
    load: async () => (await import("./score.js")).scoreCommand,
  },
  {
    name: "convert",
    summary: "a FLUX transformer in another layout and precision, read back and compared",
    load: async () => (await import("./convert.js")).convertCommand,
  },
  {
    name: "verify",
    summary: "replays golden fixtures: are this machine's numbers right?",
    load: async () => (await import("./verify.js")).verifyCommand,
  },
  {
    name: "micro",
    summary: "draws pictures of the micro world: a contact sheet by style",
    load: async () => (await import("./micro.js")).microCommand,
  },
  {
    name: "pretrain",
    summary: "trains the micro models from nothing, by this package's own ops",
    load: async () => (await import("./pretrain.js")).pretrainCommand,
  },
  {
    name: "bench",
    summary: "every kernel and stage on this machine, beside PyTorch where it is there",
    load: async () => (await import("./bench.js")).benchCommand,
  },
  {
    name: "profile",
    summary: "where the time of a training step goes: a timeline of every op, and a table",
    load: async () => (await import("./profile.js")).profileCommand,
  },
  {
    name: "doctor",
    summary: "what this machine has, what was built, what is missing",
    load: async () => (await import("./doctor.js")).doctorCommand,
  },
];
