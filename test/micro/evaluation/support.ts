// A micro folder of drawn weights, complete with judges and limits: what an evaluation opens.
import { saveFolder } from "../../../ts/checkpoint/folder.js";
import { measureLimits, writeLimits } from "../../../ts/micro/evaluation/limits.js";
import { promptsOf } from "../../../ts/micro/evaluation/evaluate.js";
import { initMicro } from "../../../ts/micro/init.js";
import { judgeConfigJson } from "../../../ts/micro/judges/config.js";
import { Judge, openJudges } from "../../../ts/micro/judges/judge.js";
import { loadAutoencoder } from "../../../ts/models/pipeline/load.js";
import { initializeParameters } from "../../../ts/nn/init.js";
import { tensorsToWrite } from "../../../ts/nn/save.js";

/** Writes the folder; the limits are of so few scenes that it takes a second. */
export async function randomWorld(folder: string, scenes = 4): Promise<void> {
  const texts = promptsOf("training", 24).map(({ caption }) => caption);
  await initMicro(folder, { seed: 1n, dtype: "float32", texts });
  for (const kind of ["style", "attributes"] as const) {
    const judge = Judge.create(kind);
    initializeParameters(judge.parameters, 2n);
    await saveFolder(`${folder}/judges/${kind}`, async (writer) => {
      await writer.json("config.json", judgeConfigJson(kind));
      await writer.safetensors("model.safetensors", tensorsToWrite(judge.parameters, judge.names));
    });
    judge.dispose();
  }
  const autoencoder = await loadAutoencoder(folder, { parts: ["encoder", "decoder"] });
  const judges = await openJudges(folder);
  await writeLimits(folder, await measureLimits({ autoencoder, judges }, { scenes }));
  for (const part of [autoencoder, judges.style, judges.attributes]) part.dispose();
}
