// What goes between ranks, against kernels.md 9.4 and by hand.
import assert from "node:assert/strict";
import { suite } from "uvu";
import {
  collectiveSeconds,
  shownSeconds,
  trafficOf,
  trafficSeconds,
  type TrafficOptions,
} from "../../ts/plan/collectives.js";
import type { Layout } from "../../ts/plan/layouts.js";
import { cards, gpuLinks as links } from "../../ts/plan/rates.js";

const test = suite("between ranks");
const near = (got: number, expected: number, tolerance: number) =>
  assert.ok(Math.abs(got / expected - 1) <= tolerance, `${got}, expected ${expected}`);

// FLUX.1-dev, kernels.md 2.1.
const flux: TrafficOptions = {
  trained: 11.9014e9,
  weights: 11.9014e9,
  modulation: 3.247e9,
  updates: 1,
  forwards: 29,
  backwards: 1,
};
const layout = (values: Partial<Layout> = {}): Layout => ({
  weightBytes: 2,
  master: "remainder",
  moments: "float32",
  gradients: "bfloat16",
  factored: false,
  sharding: "zero1",
  ranks: 8,
  ...values,
});

test("bytes by layout", () => {
  const of = (values: Partial<Layout>) => trafficOf(layout(values), flux);
  assert.deepEqual(of({ ranks: 1 }), { reduced: 0, gathered: 0, reductions: 0, gathers: 0 });
  near(of({}).reduced, 23.8e9, 1e-3);
  near(of({}).gathered, 23.8e9, 1e-3);
  near(of({ factored: true }).reduced, 17.3e9, 2e-3);
  near(of({ factored: true }).gathered, 23.8e9, 2e-3);
  near(of({ gradients: "float32" }).reduced, 47.6e9, 1e-3);
  near(of({ sharding: "none" }).gathered, 23.8e9, 1e-3);
  near(of({ sharding: "zero2" }).reduced, 23.8e9, 1e-3);
  near(of({ sharding: "zero2" }).gathered, 23.8e9, 1e-3);
  near(of({ sharding: "zero3" }).gathered, 29 * 23.8e9, 1e-3);
  const passes = trafficOf(layout(), { ...flux, updates: 3 });
  near(passes.reduced, 3 * 23.8e9, 1e-3);
  // ZeRO-2 sums each backward's, by buckets of a block or so.
  const twice = trafficOf(layout({ sharding: "zero2" }), { ...flux, backwards: 2 });
  near(twice.reduced, 2 * 23.8e9, 1e-3);
  near(twice.gathered, 23.8e9, 1e-3);
  assert.equal(twice.gathers, Math.ceil(11.9014e9 / 2 ** 27));
  assert.equal(twice.reductions, 2 * twice.gathers);
});

test("time in a node and over four, as kernels.md 9.4 has it", () => {
  const node = { ranks: 8, nodes: 1, links };
  near(collectiveSeconds("ring", 17.3e9, node), 42e-3, 0.02);
  near(collectiveSeconds("ring", 23.8e9, node), 58e-3, 0.02);
  assert.equal(collectiveSeconds("ring", 1e9, node), collectiveSeconds("hierarchical", 1e9, node));
  // Over the network alone: 45 ms, beside the node's own 58.
  const across = ((23.8e9 / 8) * 3) / 4 / links.acrossNodes;
  near(across, 45e-3, 0.02);
  near(collectiveSeconds("hierarchical", 23.8e9, { ranks: 32, nodes: 4, links }), 58e-3, 0.02);
});

test("a ring's messages add up with the ranks, a tree's hardly", () => {
  const place = { ranks: 4096, nodes: 512, links };
  const [ring, tree] = [
    collectiveSeconds("ring", 23.8e9, place),
    collectiveSeconds("hierarchical", 23.8e9, place),
  ];
  near(ring, (23.8e9 * 4095) / 4096 / links.inNode + 4095 * links.latencyAcross, 1e-9);
  assert.ok(tree < ring);
  const small = { reduced: 1e3, gathered: 1e3, reductions: 1, gathers: 1 };
  assert.equal(trafficSeconds(small, place).fastest, "hierarchical");
  assert.equal(
    trafficSeconds({ reduced: 0, gathered: 0, reductions: 0, gathers: 0 }, place).ring,
    0,
  );
  assert.equal(collectiveSeconds("ring", 1e9, { ranks: 1, nodes: 1, links }), 0);
});

test("buckets go beside a backward and a forward; what is longer, and one bucket of each, shows", () => {
  const place = { ranks: 8, nodes: 1, links };
  const shown = (values: Partial<Layout>, beside: { backward: number; forward: number }) => {
    const traffic = trafficOf(layout(values), flux);
    const seconds = trafficSeconds(traffic, place);
    const all = seconds.reduced + seconds.gathered;
    return { ...traffic, ...seconds, all, shown: shownSeconds(layout(values), flux, traffic, seconds, beside) }; // prettier-ignore
  };
  const long = { backward: 0.8, forward: 0.268 };
  const two = shown({ sharding: "zero2" }, long);
  near(two.shown, two.reduced / two.reductions + two.gathered / two.gathers, 1e-9);
  const one = shown({}, long);
  near(one.shown, one.reduced + one.gathered / one.gathers, 1e-9);
  // H200, kernels.md 9.4: of a gather of 58 ms under a forward of 48 ms about 10 show.
  const short = shown({}, { backward: 0, forward: 48e-3 });
  const weights = short.shown - short.reduced;
  near(weights, short.gathered - 48e-3 + short.gathered / short.gathers, 1e-9);
  assert.ok(weights > 9e-3 && weights < 14e-3, `${weights}`);
  near(shown({ sharding: "zero2" }, { backward: 0, forward: 0 }).shown, two.all, 1e-9);
  near(shown({ sharding: "none" }, long).shown, shown({ sharding: "none" }, long).all, 1e-9);
});

test("MPI's rates were measured on one machine: of more nothing is said", () => {
  const mpi = cards.cpu.links;
  assert.equal(mpi.kind, "measured");
  near(collectiveSeconds("ring", 64 << 20, { ranks: 2, nodes: 1, links: mpi }), 5.7e-3, 0.02);
  assert.equal(collectiveSeconds("ring", 1e6, { ranks: 4, nodes: 2, links: mpi }), Infinity);
});

test.run();
