// One rank of loss.test.ts: steps with a collective each, and one of the ways to be lost.
import { openCommunicator } from "../../ts/ranks/open.js";
import { softmaxCrossEntropy } from "../../ts/ops/index.js";
import { readPlace } from "../../ts/ranks/place.js";
import { tensor, zeros } from "../../ts/tensor/tensor.js";

const [, , timeout, way = "none", at = "20"] = process.argv;
const communicator = await openCommunicator(readPlace(), "cpu", {
  timeoutSeconds: Number(timeout),
  collectiveSeconds: way === "late" ? 2 : 60,
});
const { rank, size } = communicator;
const t = zeros([1000]);
const whole = zeros([1000 * size]);
/** Enqueues what the device refuses. */
const fail = () => softmaxCrossEntropy(zeros([1, 4]), tensor([-1], [1], { dtype: "int32" }));
for (let step = 1; step <= 1500; ++step) {
  communicator.atStep(step);
  if (way.startsWith("aside")) {
    // What has failed here keeps this rank from the collective; the others wait for it, beside their own work.
    if (way === "aside, failing" && step > Number(at) && rank === size - 1) fail();
    communicator.reduceScatterAside(whole, t).wait();
  } else {
    communicator.allReduce(t);
  }
  await t.read();
  await new Promise((resolve) => setTimeout(resolve, 10));
  if (step === Number(at)) {
    process.stdout.write(`rank ${rank} is process ${process.pid}\n`);
    // What the last rank does.
    if (rank === size - 1) {
      if (way === "throw") throw new Error("a step that failed");
      if (way === "exit") process.exit(0);
      if (way === "mismatch") communicator.barrier().catch(() => undefined);
      if (way === "late") await new Promise((resolve) => setTimeout(resolve, 60_000));
      if (way === "block") for (;;) Math.sqrt(step);
    }
  }
  if (way === "end" && step === 40) break;
}
await communicator.dispose();
process.stdout.write(`rank ${rank} ended\n`);
