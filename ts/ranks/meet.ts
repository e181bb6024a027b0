// How the ranks find each other: the store in rank 0, and the watch over it.
import { randomBytes } from "node:crypto";
import { SrpoError } from "../native/error.js";
import { shareText } from "./mpi.js";
import type { RankPlace } from "./place.js";
import { addressOf, isLoopback, ownAddress } from "./sockets.js";
import { StoreClient } from "./store_client.js";
import { StoreServer } from "./store_server.js";

type Environment = Readonly<Record<string, string | undefined>>;

/** Rank 0 has the server, the others a client. */
export type Link = { server: StoreServer } | { client: StoreClient };

/**
 * The job's token, where the launcher's variables are all that the ranks share: SRPO_TOKEN, which `launch` sets
 * and is a secret; else the job's name, which keeps other jobs out but nobody who knows it.
 */
export function tokenOf(env: Environment): string {
  const parts = ["TORCHELASTIC_RUN_ID", "SLURM_JOB_ID", "SLURM_STEP_ID", "MASTER_PORT"];
  return env["SRPO_TOKEN"] || parts.map((name) => `${name}=${env[name] ?? ""}`).join(" ");
}

async function listen(place: RankPlace, token: string): Promise<StoreServer> {
  const address = await addressOf(place.master.host);
  if (place.nodes > 1 && isLoopback(address))
    throw new SrpoError(
      "ERR_RANKS",
      `master: expected an address that ${place.nodes} nodes reach, got ${place.master.host}, which is ` +
        `${address} on rank 0; name one in MASTER_ADDR`,
    );
  return StoreServer.listen({ host: address, port: place.master.port, token, size: place.size });
}

/** Resolves when all other ranks are there. */
async function allJoined(server: StoreServer, place: RankPlace, timeoutMs: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => {
      const there = new Set([0, ...server.members.map(({ rank }) => rank)]);
      const missing = Array.from({ length: place.size }, (_, r) => r).filter((r) => !there.has(r));
      const named = `${missing.slice(0, 8).join(", ")}${missing.length > 8 ? ", ..." : ""}`;
      const at = `${place.master.host}:${server.port}`;
      const message =
        `store: ${missing.length} of ${place.size} ranks did not come to rank 0 on ${place.host} at ${at} ` +
        `within ${timeoutMs / 1000} s: ${named}`;
      reject(new SrpoError("ERR_RANKS", message));
    }, timeoutMs);
    const count = () => {
      if (server.members.length < place.size - 1) return;
      clearTimeout(late);
      resolve();
    };
    server.events = { joined: count, gone: count };
    count();
  });
}

async function meetAt(place: RankPlace, token: string, timeoutMs: number): Promise<Link> {
  if (place.rank === 0) {
    const server = await listen(place, token);
    await allJoined(server, place, timeoutMs);
    return { server };
  }
  const { host, port } = place.master;
  const to = { host, port, token, rank: place.rank, name: place.host };
  return { client: await StoreClient.connect(to, timeoutMs) };
}

/**
 * Meets where the environment says.
 *
 * @throws SrpoError ERR_RANKS, naming who did not come, where and within how long
 */
export async function meetByEnvironment(
  place: RankPlace,
  env: Environment,
  timeoutMs: number,
): Promise<Link> {
  if (place.master.port === 0 && place.size > 1)
    throw new SrpoError(
      "ERR_RANKS",
      `master: ${place.launcher} does not say where rank 0 is met; set MASTER_ADDR and MASTER_PORT`,
    );
  return meetAt(place, tokenOf(env), timeoutMs);
}

/** Meets where rank 0 says over MPI, which has begun: any free port, and a token that nobody else sees. */
export async function meetByMpi(place: RankPlace, timeoutMs: number): Promise<[Link, RankPlace]> {
  if (place.rank === 0) {
    const named = place.master.port > 0 ? place.master.host : undefined;
    const host = named ?? (place.nodes > 1 ? await ownAddress() : "127.0.0.1");
    const token = randomBytes(24).toString("base64url");
    let server: StoreServer;
    try {
      server = await listen({ ...place, master: { host, port: 0 } }, token);
    } catch (error) {
      shareText(JSON.stringify({ failed: (error as Error).message }));
      throw error;
    }
    const at = { ...place, master: { host, port: server.port } };
    shareText(JSON.stringify({ ...at.master, token }));
    await allJoined(server, at, timeoutMs);
    return [{ server }, at];
  }
  const told = JSON.parse(shareText("")) as {
    host: string;
    port: number;
    token: string;
    failed?: string;
  };
  if (told.failed !== undefined) throw new SrpoError("ERR_RANKS", told.failed);
  const at = { ...place, master: { host: told.host, port: told.port } };
  return [await meetAt(at, told.token, timeoutMs), at];
}
