// Bytes and seconds that go between ranks in an update, by layout and by how a collective travels.
//
//   N ranks in M nodes of L = N / M; a reduce-scatter or an all-gather of B bytes:
//
//   ring           N - 1 messages of B / N one after the other. One ring for each adapter of a node, so that
//                  a GPU has min(link, adapter) for itself:   B (N - 1) / N / min + (N - 1) latency
//   hierarchical   in the node over the links, and across on the L-th part by each GPU's own adapter, at the
//                  same time, in a tree:   max(B (L - 1) / L / link, B / L (M - 1) / M / adapter)
//                                          + (L - 1) latency + ceil(log2 M) latency across
//
// An all-reduce is one of each. What is cut into buckets (ts/optim/buckets.ts) goes bucket by bucket, and with a
// device's own stream for it beside other work:
//
//   gradients of ZeRO-2    under the rest of their backward, but for the last bucket's
//   weights                under the next forward, but for the first bucket's
import { bucketElements } from "../optim/buckets.js";
import { gradientBytes, type Layout } from "./layouts.js";
import type { Links } from "./rates.js";

export type Way = "ring" | "hierarchical";
export const ways = ["ring", "hierarchical"] as const satisfies readonly Way[];

/** What each rank sends and receives in an update, before (N - 1) / N. */
export interface Traffic {
  /** Bytes of gradients that are reduce-scattered. */
  reduced: number;
  /** Bytes of weights, or of summed gradients, that are gathered. */
  gathered: number;
  /** Collectives that either goes in, one after the other. */
  reductions: number;
  gathers: number;
}

export interface TrafficOptions {
  /** Trained weights, and all of the transformer's. */
  trained: number;
  weights: number;
  /** Of the trained weights: those whose gradients are factors, with `factored`. */
  modulation: number;
  /** Optimizer steps an update. */
  updates: number;
  /** Forwards, where weights are gathered for each. */
  forwards: number;
  /** Backward passes a step: ZeRO-2 sums in each. */
  backwards: number;
}

/** Bytes of an update's collectives; nothing for one rank. */
export function trafficOf(layout: Layout, options: TrafficOptions): Traffic {
  const { ranks, sharding, weightBytes, factored } = layout;
  if (ranks === 1) return { reduced: 0, gathered: 0, reductions: 0, gathers: 0 };
  const { trained, weights, modulation, updates, forwards, backwards } = options;
  const summed = factored ? trained - modulation : trained;
  const gradients = updates * summed * gradientBytes[layout.gradients];
  const updated = updates * trained * weightBytes;
  const buckets = (elements: number) => updates * Math.ceil(elements / bucketElements(trained));
  const [reductions, gathers] = [buckets(summed), buckets(trained)];
  switch (sharding) {
    case "none": // an all-reduce of the gradients
      return { reduced: gradients, gathered: gradients, reductions: updates, gathers: updates };
    case "zero1":
      return { reduced: gradients, gathered: updated, reductions, gathers };
    case "zero2": // each backward
      return {
        reduced: backwards * gradients,
        gathered: updated,
        reductions: backwards * reductions,
        gathers,
      };
    case "zero3":
      return {
        reduced: gradients,
        gathered: forwards * weights * weightBytes,
        reductions,
        gathers: (forwards / updates) * gathers,
      };
  }
}

export interface Place {
  ranks: number;
  nodes: number;
  links: Links;
}

/** Seconds of one reduce-scatter or all-gather of so many bytes; infinite where nothing is known of the way. */
export function collectiveSeconds(way: Way, bytes: number, { ranks, nodes, links }: Place): number {
  if (ranks === 1 || bytes === 0) return 0;
  if (nodes > 1 && links.acrossNodes === undefined) return Infinity;
  const local = ranks / nodes;
  const { inNode, acrossNodes = Infinity, latencyInNode, latencyAcross = 0 } = links;
  if (way === "ring") {
    const rate = nodes === 1 ? inNode : Math.min(inNode, local * acrossNodes);
    const latency = nodes === 1 ? latencyInNode : latencyAcross;
    return (bytes * (ranks - 1)) / ranks / rate + (ranks - 1) * latency;
  }
  const inside = (bytes * (local - 1)) / local / inNode;
  const across = ((bytes / local) * (nodes - 1)) / nodes / acrossNodes;
  return (
    Math.max(inside, across) +
    (local - 1) * latencyInNode +
    Math.ceil(Math.log2(nodes)) * latencyAcross
  );
}

/** Seconds of an update's collectives by each way, and by the faster one of its halves. */
export interface TrafficSeconds extends Record<Way, number> {
  fastest: Way;
  reduced: number;
  gathered: number;
}

export function trafficSeconds(traffic: Traffic, place: Place): TrafficSeconds {
  const { reduced, gathered, reductions, gathers } = traffic;
  const inParts = (way: Way, bytes: number, parts: number) =>
    bytes === 0 ? 0 : parts * collectiveSeconds(way, bytes / parts, place);
  const halves = (way: Way) =>
    [inParts(way, reduced, reductions), inParts(way, gathered, gathers)] as const;
  const seconds = (way: Way) => halves(way)[0] + halves(way)[1];
  const [ring, hierarchical] = [seconds("ring"), seconds("hierarchical")];
  const fastest: Way = ring <= hierarchical ? "ring" : "hierarchical";
  const [ofReduced, ofGathered] = halves(fastest);
  return { ring, hierarchical, fastest, reduced: ofReduced, gathered: ofGathered };
}

/** What collectives may go beside: seconds of a backward, and of the first forward after an update. */
export interface Beside {
  backward: number;
  forward: number;
}

/** Seconds of an update's collectives that nothing hides. */
export function shownSeconds(
  { sharding }: Layout,
  { updates, backwards }: TrafficOptions,
  traffic: Traffic,
  { reduced, gathered }: TrafficSeconds,
  { backward, forward }: Beside,
): number {
  // Of one that goes in parts beside work: what is longer than the work, and a part that has nothing beside it.
  const shown = (seconds: number, work: number, times: number, parts: number) =>
    times * Math.max(0, seconds / times - work) + (times * seconds) / Math.max(parts, 1);
  const gradients =
    sharding === "zero2"
      ? shown(reduced, backward, updates * backwards, traffic.reductions)
      : reduced;
  const isSharded = sharding === "zero1" || sharding === "zero2";
  const weights = isSharded ? shown(gathered, forward, updates, traffic.gathers) : gathered;
  return Math.min(gradients, reduced) + Math.min(weights, gathered);
}
