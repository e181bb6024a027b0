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
// An all-reduce is one of each.
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
  /** Backward passes a step: ZeRO-2 sums after each. */
  backwards: number;
}

/** Bytes of an update's collectives; nothing for one rank. */
export function trafficOf(layout: Layout, options: TrafficOptions): Traffic {
  const { ranks, sharding, weightBytes, factored } = layout;
  if (ranks === 1) return { reduced: 0, gathered: 0 };
  const { trained, weights, modulation, updates, forwards, backwards } = options;
  const summed = factored ? trained - modulation : trained;
  const gradients = updates * summed * gradientBytes[layout.gradients];
  const updated = updates * trained * weightBytes;
  switch (sharding) {
    case "none": // an all-reduce of the gradients
      return { reduced: gradients, gathered: gradients };
    case "zero1": // factors leave ranges of unequal length, which are all-reduced (ts/optim/sharding.ts)
      return { reduced: gradients, gathered: updated + (factored ? gradients : 0) };
    case "zero2": // an all-reduce after each backward
      return {
        reduced: backwards * gradients,
        gathered: backwards * gradients + updated,
      };
    case "zero3":
      return { reduced: gradients, gathered: forwards * weights * weightBytes };
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

/** Seconds of an update's collectives by each way, and which is the faster. */
export function trafficSeconds(
  { reduced, gathered }: Traffic,
  place: Place,
): Record<Way, number> & { fastest: Way } {
  const seconds = (way: Way) =>
    collectiveSeconds(way, reduced, place) + collectiveSeconds(way, gathered, place);
  const [ring, hierarchical] = [seconds("ring"), seconds("hierarchical")];
  return { ring, hierarchical, fastest: ring <= hierarchical ? "ring" : "hierarchical" };
}
