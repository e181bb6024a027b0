import type { FolderWriter } from "../../checkpoint/folder_writer.js";
import type { Picture } from "../../data/png.js";
import type { ParameterSet } from "../../nn/parameter_set.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { StageSettings } from "./settings.js";

/** Held-out figures by name, and pictures to look at. */
export interface Look {
  readonly figures: Readonly<Record<string, number>>;
  readonly pictures: Readonly<Record<string, Picture>>;
}

/** What a step yields: the loss, and what else to log of it. */
export interface StepLoss {
  /** [1] */
  readonly loss: Tensor;
  readonly metrics: Readonly<Record<string, Tensor>>;
}

/** One thing to train: what the loop turns into weights. */
export interface Stage {
  readonly name: string;
  readonly settings: StageSettings;
  /** The models that learn, by name; a checkpoint keeps their weights, moments and averages. */
  readonly models: Readonly<Record<string, ParameterSet>>;
  /** The loss of an update, counted from 1: the same for a seed and a step, whatever came before. */
  loss(step: number): StepLoss;
  /** Looks at the weights as they would be kept; at more pictures if it is the last look. */
  look(options: { last: boolean }): Promise<Look>;
  /** Writes what the stage gives to the next ones; the weights are those to keep. */
  write(folder: FolderWriter): Promise<void>;
  dispose(): void;
}
