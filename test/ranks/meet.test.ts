// Where the ranks meet, and what is said when they do not.
import assert from "node:assert/strict";
import { test } from "uvu";
import { meetByEnvironment, tokenOf } from "../../ts/ranks/meet.js";
import { soloPlace, type RankPlace } from "../../ts/ranks/place.js";
import { StoreServer } from "../../ts/ranks/store_server.js";

/** A port that was free just now. */
async function freePort(): Promise<number> {
  const server = await StoreServer.listen({ host: "127.0.0.1", port: 0, token: "", size: 2 });
  const { port } = server;
  await server.close();
  return port;
}

const placeOf = (rank: number, port: number, more: Partial<RankPlace> = {}): RankPlace => ({
  ...soloPlace("here"),
  launcher: "torchrun",
  rank,
  size: 3,
  localSize: 3,
  localRank: rank,
  master: { host: "127.0.0.1", port },
  ...more,
});
const env = { SRPO_TOKEN: "a token" };

test("three ranks meet, and the store is theirs", async () => {
  const port = await freePort();
  const links = await Promise.all(
    [0, 1, 2].map((rank) => meetByEnvironment(placeOf(rank, port), env, 10_000)),
  );
  const [first, second, third] = links;
  assert.ok("server" in first! && "client" in second! && "client" in third!);
  first.server.set("k", "v");
  assert.equal(await third.client.wait("k"), "v");
  await second.client.close();
  await third.client.close();
  await first.server.close();
});

test("a rank that does not come is named by the one that waits", async () => {
  const port = await freePort();
  const one = meetByEnvironment(placeOf(1, port), env, 10_000);
  await assert.rejects(meetByEnvironment(placeOf(0, port), env, 1500), {
    code: "ERR_RANKS",
    message: `store: 1 of 3 ranks did not come to rank 0 on here at 127.0.0.1:${port} within 1.5 s: 2`,
  });
  const link = await one;
  if ("client" in link) await link.client.close();
});

test("several nodes do not meet at a loopback address", async () => {
  const two = { nodes: 2, master: { host: "localhost", port: 4000 } };
  await assert.rejects(meetByEnvironment(placeOf(0, 4000, two), env, 1000), {
    code: "ERR_RANKS",
    message:
      /expected an address that 2 nodes reach, got localhost, which is 127\.0\.0\.1 on rank 0; name one in MASTER_ADDR/,
  });
});

test("a launcher that does not say where is asked to", async () => {
  await assert.rejects(meetByEnvironment(placeOf(0, 0), env, 1000), {
    message: /torchrun does not say where rank 0 is met; set MASTER_ADDR and MASTER_PORT/,
  });
});

test("a master whose name stands for nothing", async () => {
  const nowhere = { master: { host: "no-such-host.invalid", port: 4000 } };
  await assert.rejects(meetByEnvironment(placeOf(0, 4000, nowhere), env, 1000), {
    message: "master: no-such-host.invalid is the name of no address here",
  });
});

test("the token: a secret if one is set, else the job's name", () => {
  assert.equal(tokenOf({ SRPO_TOKEN: "x", SLURM_JOB_ID: "1" }), "x");
  assert.notEqual(tokenOf({ SLURM_JOB_ID: "1" }), tokenOf({ SLURM_JOB_ID: "2" }));
  assert.equal(tokenOf({ MASTER_PORT: "5", RANK: "0" }), tokenOf({ MASTER_PORT: "5", RANK: "1" }));
});

test.run();
