// Saves one checkpoint after the other until it is killed; each holds its step in every value.
import path from "node:path";
import { completeCheckpoints, saveFolder, stepName } from "../../ts/checkpoint/folder.js";
import { saveState } from "../../ts/checkpoint/state.js";
import { tensor } from "../../ts/tensor/tensor.js";

const [checkpoints = ""] = process.argv.slice(2);
const newest = (await completeCheckpoints(checkpoints))[0]?.step ?? 0;
process.stdout.write("ready\n");
for (let step = newest + 1; ; ++step) {
  const values = tensor(new Float32Array(50_000).fill(step), [50_000]);
  const write = async (replaced: number) =>
    saveFolder(
      path.join(checkpoints, stepName(step)),
      async (folder) => {
        const state = { tensors: { values }, json: { step, replaced } };
        await folder.sharded("transformer/model", [{ name: "w", tensor: values }]);
        await saveState(folder, "optimizer", state);
      },
      { replace: true },
    );
  await write(0);
  await write(1); // over the first: what is replaced must not be lost either
  values.dispose();
}
