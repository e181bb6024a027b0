import { existsSync } from "node:fs";
import path from "node:path";
import { packageRoot } from "../native/load.js";
import { SrpoError } from "../native/error.js";
import { deviceOption } from "../train/config.js";
import { requireDevice } from "../train/setup.js";
import type { Row } from "../verify/comparison.js";
import { closingLines, fixtureLines } from "../verify/table.js";
import { verifyPath, type Skipped } from "../verify/verify.js";
import { command } from "./command.js";

/** Small fixtures that come with the package. */
const shipped = path.join(packageRoot, "assets", "fixtures");

export const verifyCommand = command({
  name: "verify",
  positional: "[path ...]",
  summary: "replays golden fixtures on a device: are this machine's numbers right?",
  schema: {
    device: deviceOption,
    precision: {
      type: "text",
      default: "f32",
      choices: ["f32", "bf16"],
      help: "bf16 has wider tolerances",
    },
    tokenizers: {
      type: "text",
      help: "folder with the vocabularies clip/ and t5/; without it token rows are skipped",
    },
    all: { type: "boolean", default: false, help: "a line for every tensor, not only those out" },
    json: { type: "boolean", default: false, help: "rows as JSON" },
  },
  examples: [
    ["verify", "the fixtures that come with the package"],
    ["verify ../goldens --tokenizers ../tokenizers", "a folder of fixtures"],
  ],
  async run({ device, precision, tokenizers, all, json }, { positional }) {
    const paths = positional.length > 0 ? positional : [shipped];
    for (const place of paths)
      if (!existsSync(place))
        throw new SrpoError(
          "ERR_CONFIG",
          `verify: expected a file or a folder, got none at ${place}`,
        );
    const rows: Row[] = [];
    const skipped: Skipped[] = [];
    for (const place of paths) {
      const report = await verifyPath(place, {
        device: requireDevice(device),
        dtype: precision === "f32" ? "float32" : "bfloat16",
        tokenizers,
        onFixture: (name, found) => {
          if (!json)
            for (const line of fixtureLines(name, found, { all }))
              process.stdout.write(`${line}\n`);
        },
      });
      rows.push(...report.rows);
      skipped.push(...report.skipped);
    }
    const ok = rows.every((row) => row.ok);
    if (json)
      // JSON has no infinity: a tensor that was not computed has error null.
      process.stdout.write(`${JSON.stringify({ ok, rows, skipped })}\n`);
    else for (const line of closingLines({ ok, rows, skipped })) process.stdout.write(`${line}\n`);
    return ok ? 0 : 1;
  },
});
