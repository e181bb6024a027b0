// What is seen, in sentences that say what was measured and no more.
import { say } from "./figures.js";
import type { ArmResult } from "./result.js";

const percent = (value: number) => `${say(value, "share")} %`;

function change(before: number, after: number, least: number): string {
  if (Math.abs(after - before) < least) return "stayed near, at";
  return after > before ? "rose to" : "fell to";
}

/** Five sentences on a run beside the base model. */
export function story(base: ArmResult, after: ArmResult): string[] {
  const [a, b] = [base.figures, after.figures];
  const seconds = Math.round(after.cost.seconds);
  return [
    `Left in each pair is what a small FLUX model draws of a prompt, right what it draws from the very same noise ` +
      `after ${after.updates} updates of SRPO, which took ${seconds} seconds on this machine.`,
    "The model was trained on few photographs and many renders, paintings and flat drawings, so what it draws of a " +
      "plain prompt looks artificial; SRPO only told it to prefer pictures that a reward model takes for " +
      '"Photo. <prompt>" over ones that it takes for "Painting. <prompt>", and the like.',
    `A style judge that no training ever saw gives its pictures ${percent(a.realism)} probability of being a ` +
      `photograph before, and ${percent(b.realism)} after.`,
    `Of what the prompts ask for (shape, colour, size, place, ground, light), ${percent(a.alignment)} is found before ` +
      `and ${percent(b.alignment)} after; ${percent(a.hacked)} of the pictures were outside what any style contains ` +
      `before, and ${percent(b.hacked)} are after.`,
    `The plain reward, which was made to like saturated and smooth pictures, ${change(a.reward, b.reward, 0.005)} ` +
      `${say(b.reward, "cosine")} from ${say(a.reward, "cosine")}; raising it alone is what SRPO's rivals do, and ` +
      '"srpo-native demo --compare" shows where that leads.',
  ];
}
