// How a run goes on with more devices: one prompt a rank and update, or as many as it asks for if that is more.
import { trafficOf, trafficSeconds, type Traffic, type Way } from "./collectives.js";
import { cards } from "./rates.js";
import { layoutOf, planOf, trafficOptionsOf, type PlanRequest } from "./plan.js";

export interface ScaleRow {
  ranks: number;
  nodes: number;
  /** Prompts an update: the run's, or one a rank. */
  batch: number;
  /** Of a device. */
  memory: number;
  fits: boolean;
  traffic: Traffic;
  /** Seconds between ranks, predicted. */
  between: Record<Way, number>;
  /** Seconds of an update by the first of the card's rates; undefined without rates. */
  update: number | undefined;
  /** Of them, those between ranks that no other work hides. */
  shown: number | undefined;
  /** Share of the time that is not spent between ranks. */
  efficiency: number | undefined;
}

const nodesUpTo = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/** Rows for parts of a node, and, where the way across is known, for up to 512 nodes of the request's size. */
export function scaleOf(request: PlanRequest): ScaleRow[] {
  const { gpus } = request.machine;
  const parts = [1, 2, 4, 8, 16].filter((n) => n < gpus).map((n) => ({ gpus: n, nodes: 1 }));
  const known = cards[request.machine.card].links.kind === "predicted" ? nodesUpTo : [1];
  const places = [...parts, ...known.map((nodes) => ({ gpus, nodes }))];
  return places.map((place) => {
    const ranks = place.gpus * place.nodes;
    const batch = Math.max(request.config.batch, ranks);
    const sharding = ranks === 1 ? "none" : (request.layout?.sharding ?? "zero1");
    const here: PlanRequest = {
      ...request,
      config: { ...request.config, batch },
      machine: { ...request.machine, ...place },
      layout: {
        ...request.layout,
        sharding: sharding === "none" && ranks > 1 ? "zero1" : sharding,
      },
    };
    const plan = planOf(here);
    const traffic = trafficOf(layoutOf(here), trafficOptionsOf(here));
    const { ring, hierarchical } = trafficSeconds(traffic, {
      ranks,
      nodes: place.nodes,
      links: cards[request.machine.card].links,
    });
    const [time] = plan.times;
    return {
      ranks,
      nodes: place.nodes,
      batch,
      memory: plan.bytes,
      fits: plan.fits,
      traffic,
      between: { ring, hierarchical },
      update: time?.seconds,
      shown: time?.between,
      efficiency: time && 1 - time.between / time.seconds,
    };
  });
}
