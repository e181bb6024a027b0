// Who notices that a rank is gone, and says which, where and at what. Each rank tells rank 0 every second
// where it is, and rank 0 answers; a connection that ends without a farewell is a rank that died, one that
// the kernel gives up is a rank that was cut off, one that stays silent is a rank that was stopped.
import type { Message } from "./lines.js";
import type { RankPlace } from "./place.js";
import type { StoreClient } from "./store_client.js";
import type { Member, StoreServer } from "./store_server.js";

export const beatMs = 1000;
/** Between beats of a rank whose steps are short. */
const shortestBeatMs = 200;
/** How long a rank may say nothing: long files are read and hashed in that time. */
export const defaultTimeoutSeconds = 60;
/** How long a rank may wait for the others in one collective: a save, a picture or an evaluation of rank 0's. */
export const defaultCollectiveSeconds = 1800;
const farewellMs = 5000;

/** Where a rank is. */
export interface Where {
  step: number;
  /** The collective that it is in, "" if in none. */
  collective: string;
  /** How many it has begun. */
  count: number;
  /** For how many seconds it is in this one. */
  seconds: number;
}

export interface WatchOptions {
  place: RankPlace;
  timeoutSeconds: number;
  /** Default 1800. */
  collectiveSeconds?: number;
  where: () => Where;
  /** Ends this process; called once. */
  onLost: (message: string) => void;
}

export interface Watch {
  /** This rank has come to another step: told now, if nothing was told just before. */
  moved(): void;
  /** This rank fails: the others hear of it before the connection ends. */
  failed(exitCode: number): void;
  /** Says farewell, so that what follows is no loss. */
  leave(): Promise<void>;
}

/** "at step 7 in allReduce (collective 412)" */
function placeOf({ step, collective, count, seconds }: Where): string {
  const since = seconds >= 2 ? ` for ${seconds.toFixed(0)} s` : "";
  return collective === ""
    ? `at step ${step} after ${count} collectives`
    : `at step ${step} in ${collective} (collective ${count})${since}`;
}

function whereOf(beat: unknown): Where {
  const { step, collective, count, seconds } = (beat ?? {}) as Record<string, unknown>;
  const number = (value: unknown) => (typeof value === "number" ? value : 0);
  return {
    step: number(step),
    collective: typeof collective === "string" ? collective.slice(0, 40) : "",
    count: number(count),
    seconds: number(seconds),
  };
}

/** Calls `tick` every beat with whether this process itself was away in between, stopped or asleep. */
function everyBeat(tick: (wasAway: boolean) => void): () => void {
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    tick(now - last > 3 * beatMs);
    last = now;
  }, beatMs);
  timer.unref();
  return () => clearInterval(timer);
}

interface Heard {
  member: Member;
  where: Where;
  at: number;
  left: boolean;
}

/** Where one rank is, named. */
interface Place {
  name: string;
  where: Where;
}

/** What is wrong with where the ranks are: two in different calls of one number, or one that others wait for. */
function outOfStep(ranks: readonly Place[], collectiveSeconds: number): string | undefined {
  const inside = ranks.filter(({ where }) => where.collective !== "");
  for (const { name, where } of inside) {
    const other = inside.find(
      (one) => one.where.count === where.count && one.where.collective !== where.collective,
    );
    if (other !== undefined)
      return (
        `the ranks are out of step: ${name} is ${placeOf(where)}, ` +
        `${other.name} ${placeOf(other.where)}`
      );
  }
  const waiting = inside.find(({ where }) => where.seconds > collectiveSeconds);
  if (waiting === undefined) return undefined;
  const last = ranks.reduce((a, b) => (b.where.count < a.where.count ? b : a));
  return (
    `${waiting.name} was ${placeOf(waiting.where)}, longer than ${collectiveSeconds} s; ` +
    `it waits for ${last.name}, which is ${placeOf(last.where)}`
  );
}

/** Rank 0's: hears all others. */
export function watchRanks(server: StoreServer, options: WatchOptions): Watch {
  const { place, timeoutSeconds, where, onLost } = options;
  const { collectiveSeconds = defaultCollectiveSeconds } = options;
  const ranks = new Map<number, Heard>();
  const join = (member: Member) =>
    ranks.set(member.rank, {
      member,
      where: { step: 0, collective: "", count: 0, seconds: 0 },
      at: performance.now(),
      left: false,
    });
  let ended = false;
  let onLeft = () => {};
  const end = (message: string) => {
    if (ended) return;
    ended = true;
    stop();
    const whole = `${message}. The job ends; its last checkpoint is whole`;
    server.tell({ end: whole });
    // The word goes out first.
    setTimeout(() => onLost(whole), 200);
  };
  const lost = ({ member, where: at }: Heard, why: string) =>
    end(
      `rank ${member.rank} on ${member.host} was lost ${placeOf(at)}: ${why}. ` +
        `Rank 0 on ${place.host} was ${placeOf(where())}`,
    );
  const named = (): Place[] => [
    { name: `rank 0 on ${place.host}`, where: where() },
    ...[...ranks.values()]
      .filter(({ left }) => !left)
      .map(({ member, where: at }) => ({
        name: `rank ${member.rank} on ${member.host}`,
        where: at,
      })),
  ];
  const stop = everyBeat((wasAway) => {
    server.tell({ pulse: 1 });
    const now = performance.now();
    for (const heard of ranks.values()) {
      if (wasAway) heard.at = now;
      const silent = (now - heard.at) / 1000;
      if (!heard.left && silent > timeoutSeconds)
        lost(heard, `it has been silent for ${silent.toFixed(0)} s, stopped or stuck`);
    }
    const wrong = outOfStep(named(), collectiveSeconds);
    if (wrong !== undefined) end(wrong);
  });
  for (const member of server.members) join(member);
  server.events = {
    joined: join,
    said: ({ rank }, message) => {
      const heard = ranks.get(rank);
      if (heard === undefined) return;
      heard.at = performance.now();
      if (message["beat"] !== undefined) heard.where = whereOf(message["beat"]);
      if (typeof message["failed"] === "number")
        lost(heard, `it failed with exit code ${message["failed"]}; its log says why`);
      if (message["bye"] === true) {
        heard.left = true;
        onLeft();
      }
    },
    gone: ({ rank }, why) => {
      const heard = ranks.get(rank);
      if (heard !== undefined && !heard.left) lost(heard, why);
    },
  };
  return {
    moved: () => {},
    failed(exitCode) {
      const why = `failed with exit code ${exitCode}; its log says why. The job ends`;
      server.tell({ end: `rank 0 on ${place.host} was ${placeOf(where())} and ${why}` });
    },
    async leave() {
      const allLeft = () => [...ranks.values()].every(({ left }) => left);
      await new Promise<void>((resolve) => {
        const late = setTimeout(resolve, farewellMs);
        onLeft = () => {
          if (!allLeft()) return;
          clearTimeout(late);
          resolve();
        };
        onLeft();
      });
      ended = true;
      stop();
      server.tell({ bye: true });
      await server.close();
    },
  };
}

/** Every other rank's: hears rank 0. */
export function watchMaster(
  client: StoreClient,
  { place, timeoutSeconds, where, onLost }: WatchOptions,
): Watch {
  let heardAt = performance.now();
  let ended = false;
  let onBye = () => {};
  const end = (message: string) => {
    if (ended) return;
    ended = true;
    stop();
    onLost(message);
  };
  const master = `rank 0 at ${place.master.host}`;
  const here = () => `rank ${place.rank} on ${place.host} was ${placeOf(where())}`;
  const stop = everyBeat((wasAway) => {
    client.say({ beat: where() });
    const now = performance.now();
    if (wasAway) heardAt = now;
    const silent = (now - heardAt) / 1000;
    if (silent > timeoutSeconds)
      end(
        `${master} was lost: it has been silent for ${silent.toFixed(0)} s, stopped or stuck; ${here()}`,
      );
  });
  client.events = {
    said: (message: Message) => {
      heardAt = performance.now();
      if (typeof message["end"] === "string") end(message["end"]);
      if (message["bye"] === true) onBye();
    },
    gone: (why) => {
      onBye();
      end(`${master} was lost: ${why}; ${here()}`);
    },
  };
  let toldAt = -Infinity;
  const tell = () => {
    toldAt = performance.now();
    client.say({ beat: where() });
  };
  tell();
  return {
    moved() {
      if (performance.now() - toldAt > shortestBeatMs) tell();
    },
    failed(exitCode) {
      client.say({ beat: where(), failed: exitCode });
    },
    async leave() {
      await new Promise<void>((resolve) => {
        const late = setTimeout(resolve, farewellMs);
        onBye = () => {
          clearTimeout(late);
          resolve();
        };
        client.say({ bye: true });
        if (!client.open) onBye();
        ended = true;
      });
      stop();
      await client.close();
    },
  };
}
