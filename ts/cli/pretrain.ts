import path from "node:path";
import { pretrain } from "../micro/pretrain/pretrain.js";
import { stageNames } from "../micro/pretrain/settings.js";
import { native } from "../native/binding.js";
import { SrpoError } from "../native/error.js";
import { command } from "./command.js";
import { threads } from "./threads.js";

export const pretrainCommand = command({
  name: "pretrain",
  positional: "micro",
  stops: true,
  summary:
    "trains the micro models from nothing: autoencoder, reward, judges, policy; about 100 minutes on two cores",
  schema: {
    out: { type: "text", help: "folder that everything goes to" },
    stage: {
      type: "text",
      default: "all",
      choices: [...stageNames, "all"],
      help: "what to train; a stage needs those before it",
    },
    resume: {
      type: "boolean",
      default: false,
      help: "go on with stages that were begun, pass over those that are done",
    },
    seed: { type: "seed", help: "of weights, data and noise; default 0" },
    effort: {
      type: "number",
      min: 0.001,
      max: 10,
      help: "times the steps of the full run; default 1, 0.01 tries out all stages in a minute or two",
    },
    threads,
  },
  examples: [
    [
      "pretrain micro --out pretrained",
      "all stages; the models are in pretrained/micro at the end",
    ],
    ["pretrain micro --out pretrained --resume", "goes on where that was stopped"],
    ["pretrain micro --stage autoencoder --out pretrained", "one stage"],
  ],
  async run({ out, stage, resume, seed, effort, threads }, { positional, signal }) {
    if (positional.length !== 1 || positional[0] !== "micro")
      throw new SrpoError(
        "ERR_CONFIG",
        `pretrain: expected "micro", got ${positional.length === 0 ? "nothing" : positional.join(" ")}`,
      );
    if (out === undefined)
      throw new SrpoError("ERR_CONFIG", "out: expected a folder to write to, got none");
    native.cpuSetThreads(threads);
    const place = path.resolve(out);
    const stages = stage === "all" ? stageNames : [stage];
    const end = await pretrain({ place, stages, resume, seed, effort, signal });
    if (end.interrupted) {
      process.stderr.write(`go on by: srpo-native pretrain micro --out ${out} --resume\n`);
      return 130;
    }
    process.stdout.write(`${end.folder ?? place}\n`);
    return 0;
  },
});
