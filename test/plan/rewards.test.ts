// The towers that stand for rewards which are none have about the same weights as the models themselves.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import { twoTowerParameters } from "../../ts/models/clip/parameters.js";
import { so400mConfigJson } from "../../ts/models/public_configs.js";
import { sizeOf } from "../../ts/nn/parameter.js";
import { rewardSizes, vitH } from "../../ts/plan/rewards.js";

const test = suite("a reward's sizes");
const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-sizes-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));

for (const [what, file, json, parameters] of [
  [
    "SigLIP's config",
    "config.json",
    { vision_config: { ...so400mConfigJson, model_type: "siglip_vision_model" } },
    429546785,
  ],
  ["med_config.json", "med_config.json", { model_type: "bert" }, 446206689],
] as const)
  test(`${what}: within 2 % of the public file`, () => {
    writeFileSync(path.join(folder, file), JSON.stringify(json));
    const towers = twoTowerParameters(rewardSizes(folder));
    const count = towers.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    assert.ok(Math.abs(count / parameters - 1) < 0.02, `${count}`);
  });

test("a file, or a folder without a config, is a ViT-H/14", () => {
  assert.deepEqual(rewardSizes(path.join(folder, "HPS_v2.1_compressed.pt")), vitH);
});
test.run();
