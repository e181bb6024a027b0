// A process that saves checkpoints is killed, again and again, at random moments.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import { latestComplete, removeFolder, verifyManifest } from "../../ts/checkpoint/folder.js";
import { SafetensorsFile } from "../../ts/checkpoint/safetensors.js";
import { loadState } from "../../ts/checkpoint/state.js";
import { zeros } from "../../ts/tensor/tensor.js";
import { uniforms } from "../support/index.js";
import { fresh } from "./files.js";

const kills = 24;
const child = path.join(path.dirname(fileURLToPath(import.meta.url)), "save_child.js");
const test = suite("kill -9 while saving");

/** Starts the child and kills it so many milliseconds after it began to save. */
function saveAndKill(checkpoints: string, afterMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const process_ = spawn(process.execPath, [child, checkpoints], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let errors = "";
    process_.stderr.on("data", (text) => (errors += String(text)));
    process_.stdout.once("data", () => setTimeout(() => process_.kill("SIGKILL"), afterMs));
    process_.once("exit", (_, signal) =>
      signal === "SIGKILL" ? resolve() : reject(new Error(`the child ended by itself: ${errors}`)),
    );
  });
}

test(`${kills} kills lose no complete checkpoint and leave none that is half`, async () => {
  const checkpoints = fresh("checkpoints");
  mkdirSync(checkpoints);
  const delays = uniforms(kills, 9, 0, 60);
  let newest = 0;
  let interrupted = 0;
  for (const delay of delays) {
    await saveAndKill(checkpoints, delay);
    const before = readdirSync(checkpoints);
    interrupted += before.some((name) => name.includes(".tmp-") || name.includes(".old-")) ? 1 : 0;
    const latest = await latestComplete(checkpoints);
    const step = latest?.step ?? 0;
    assert.ok(step >= newest, `step ${step} after ${newest}, of ${before.join(", ")}`);
    newest = step;
    if (latest === undefined) continue;

    // Every folder of a checkpoint's name is whole, and holds what was saved under it.
    for (const name of readdirSync(checkpoints)) {
      assert.match(name, /^step-\d{6}$/, "nothing half-written stays after the next start");
      const folder = path.join(checkpoints, name);
      const own = Number(name.slice(5));
      await verifyManifest(folder);
      const values = zeros([50_000]);
      const json = await loadState(folder, "optimizer", { values });
      assert.equal((json as { step: number }).step, own);
      assert.ok((await values.read()).every((v) => v === own));
      using weights = SafetensorsFile.open(path.join(folder, "transformer/model.safetensors"));
      await weights.readInto("w", values);
      assert.ok((await values.read()).every((v) => v === own));
      values.dispose();
      if (own < newest) await removeFolder(folder);
    }
  }
  assert.ok(newest > 0, "something was saved");
  assert.ok(
    interrupted > 0,
    `${interrupted} of ${kills} kills came while a folder was being written`,
  );
});

test.run();
