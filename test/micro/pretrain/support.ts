import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { Writable } from "node:stream";
import type { PretrainSettings, StageSettings } from "../../../ts/micro/pretrain/settings.js";

/** A folder that goes with the test. */
export function temporaryFolder(): Disposable & { path: string } {
  const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-pretrain-"));
  return {
    path: folder,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Takes progress and says nothing. */
export const silent = new Writable({
  write: (_chunk, _encoding, done) => done(),
}) as NodeJS.WriteStream;

/** So few scenes, pictures and steps that a stage takes seconds; the models keep their sizes. */
export function small(
  settings: PretrainSettings,
  change: Partial<StageSettings> = {},
): PretrainSettings {
  const stage = (full: StageSettings): StageSettings => ({
    ...full,
    steps: 6,
    batch: 8,
    rate: () => 2e-3,
    saveEvery: 0,
    lookEvery: 0,
    ...change,
  });
  return {
    ...settings,
    scenes: { training: 12, policy: 12, judging: 12, validation: 8 },
    autoencoder: stage(settings.autoencoder),
    reward: stage(settings.reward),
    styleJudge: stage(settings.styleJudge),
    attributeJudge: stage(settings.attributeJudge),
    policy: stage(settings.policy),
  };
}
