// Where a run is to be: options of `plan` and of `train --dry-run`.
import { shardings } from "../plan/layouts.js";
import { cardNames } from "../plan/rates.js";
import type { Schema, Source } from "../train/schema.js";

const group = "machine";

export const machineSchema = {
  card: { type: "text", default: "cpu", choices: cardNames, help: "kind of device", group },
  gpus: {
    type: "number",
    integer: true,
    min: 1,
    max: 1024,
    default: 1,
    help: "devices of a node",
    group,
  },
  nodes: { type: "number", integer: true, min: 1, max: 1024, default: 1, help: "machines", group },
  memory: { type: "number", min: 0.001, help: "GB of a device; default the card's", group },
  sharding: {
    type: "text",
    choices: shardings,
    help: "what ranks share; default zero1 with several",
    group,
  },
} as const satisfies Schema;

/** A command line's flags in two: those of this table, and the rest with what was wrong with any. */
export function splitFlags(flags: Source, table: Schema): [mine: Source, rest: Source] {
  const part = (mine: boolean) =>
    Object.fromEntries(
      Object.entries(flags.values).filter(([name]) => Object.hasOwn(table, name) === mine),
    );
  return [
    { name: flags.name, values: part(true) },
    { ...flags, values: part(false) },
  ];
}
