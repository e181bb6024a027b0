// One rank alone has the same interface and communicates nothing.
import assert from "node:assert/strict";
import { openCommunicator } from "../../ts/ranks/open.js";
import { soloPlace } from "../../ts/ranks/place.js";
import { empty, tensor } from "../../ts/tensor/tensor.js";
import { forEachDevice } from "../support/index.js";

forEachDevice("one rank alone", (test, device) => {
  test("keeps sums, copies parts", async () => {
    const communicator = await openCommunicator(soloPlace(), device);
    assert.equal(communicator.size, 1);
    const x = tensor([1, 2, 3, 4], [2, 2], { device });
    communicator.allReduce(x);
    communicator.allReduce(x, "max");
    communicator.broadcast(x, 0);
    const [part, whole] = [empty([4], { device }), empty([4], { device })];
    communicator.reduceScatter(x, part);
    communicator.allGather(part, whole);
    communicator.allGather(whole, whole);
    assert.deepEqual([...(await whole.read())], [1, 2, 3, 4]);
    await communicator.barrier();
    assert.equal(communicator.stats().collectives, 7);
    assert.throws(() => communicator.broadcast(x, 1), RangeError);
    assert.throws(() => communicator.reduceScatter(x, empty([3], { device })), {
      code: "ERR_SHAPE",
      message: "reduceScatter: input: expected 1 * 3 elements, got 4",
    });
    await communicator.dispose();
  });

  test("what runs beside is a copy too, and may be waited for more than once", async () => {
    const communicator = await openCommunicator(soloPlace(), device);
    const x = tensor([1, 2, 3], [3], { device });
    const [part, whole] = [empty([3], { device }), empty([3], { device })];
    const scattered = communicator.reduceScatterAside(x, part);
    scattered.wait();
    scattered.wait();
    communicator.allGatherAside(part, whole).wait();
    assert.deepEqual([...(await whole.read())], [1, 2, 3]);
    await communicator.dispose();
  });
});
