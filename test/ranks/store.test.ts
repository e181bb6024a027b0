// The ranks' meeting place, and what it survives: strangers, garbage, the slow and the half-open.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { test } from "uvu";
import { StoreClient } from "../../ts/ranks/store_client.js";
import { StoreServer } from "../../ts/ranks/store_server.js";

const token = "the token of these tests";
const listen = (size = 4) => StoreServer.listen({ host: "127.0.0.1", port: 0, token, size });
const place = (server: StoreServer, rank: number, said = token) => ({
  host: "127.0.0.1",
  port: server.port,
  token: said,
  rank,
  name: `host-${rank}`,
});

/** A connection that says what it likes. */
function stranger(server: StoreServer): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port: server.port }, () => resolve(socket));
    socket.once("error", reject);
    socket.on("error", () => undefined);
  });
}

/** How long a connection lasted. */
function lasted(socket: Socket): Promise<number> {
  const started = performance.now();
  return new Promise((resolve) => {
    socket.resume().once("close", () => resolve(performance.now() - started));
  });
}

test("keys: set, get, wait and add, from every rank", async () => {
  const server = await listen();
  const one = await StoreClient.connect(place(server, 1), 5000);
  const two = await StoreClient.connect(place(server, 2), 5000);
  assert.deepEqual(
    server.members.map(({ rank, host, pid }) => [rank, host, pid]),
    [
      [1, "host-1", process.pid],
      [2, "host-2", process.pid],
    ],
  );
  assert.equal(await one.get("id"), undefined);
  const waited = Promise.all([one.wait("id"), two.wait("id")]);
  const text = 'a value with\n"lines" and ☃';
  server.set("id", text);
  assert.deepEqual(await waited, [text, text]);
  assert.equal(await two.wait("id"), text);
  await one.set("other", "x");
  assert.equal(server.get("other"), "x");
  assert.equal(await one.add("count", 2), 2);
  assert.equal(await two.add("count", -5), -3);
  const large = "y".repeat(1_000_000);
  await two.set("large", large);
  assert.equal(await one.get("large"), large);
  await one.close();
  await two.close();
  await server.close();
  await assert.rejects(one.get("id"), { code: "ERR_RANKS" });
});

test("it listens at the master's address alone", async () => {
  const server = await StoreServer.listen({ host: "127.0.0.2", port: 0, token, size: 2 });
  const elsewhere = connect({ host: "127.0.0.1", port: server.port });
  const code = await new Promise((resolve) => {
    elsewhere.once("error", (error) => resolve("code" in error ? error.code : undefined));
    elsewhere.once("connect", () => resolve("let in"));
  });
  assert.equal(code, "ECONNREFUSED");
  await server.close();
});

test("a port that is taken is named", async () => {
  const server = await listen();
  const again = { host: "127.0.0.1", port: server.port, token, size: 2 };
  await assert.rejects(StoreServer.listen(again), {
    code: "ERR_RANKS",
    message: `store: rank 0 cannot listen at 127.0.0.1:${server.port}: EADDRINUSE`,
  });
  await server.close();
});

test("another token, a rank that is there, a rank of another size: refused, and said so at once", async () => {
  const server = await listen();
  const one = await StoreClient.connect(place(server, 1), 5000);
  for (const [rank, said, words] of [
    [2, "another", /refused: another job's token/],
    [2, "", /another job's token/],
    [1, token, /refused: rank 1 is there already/],
    [4, token, /refused: no rank of 4/],
    [0, token, /refused: no rank of 4/],
  ] as const) {
    const started = performance.now();
    await assert.rejects(StoreClient.connect(place(server, rank, said), 5000), {
      code: "ERR_RANKS",
      message: words,
    });
    assert.ok(performance.now() - started < 1000);
  }
  assert.equal(server.members.length, 1);
  await one.close();
  await server.close();
});

test("a master that is not there: host, port, rank and how long it was tried", async () => {
  const closed = createServer();
  await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
  const { port } = closed.address() as AddressInfo;
  await new Promise((resolve) => closed.close(resolve));
  const nowhere = { host: "127.0.0.1", port, token, rank: 3, name: "host-3" };
  await assert.rejects(StoreClient.connect(nowhere, 700), {
    code: "ERR_RANKS",
    message: new RegExp(
      `^store: rank 3 on host-3 was not let in by rank 0 at 127.0.0.1:${port} within 0\\.[6-9] s: ECONNREFUSED$|within 1`,
    ),
  });
});

test("a master that comes late is met", async () => {
  const first = await listen();
  const { port } = first;
  const to = place(first, 1);
  await first.close();
  const met = StoreClient.connect(to, 10_000);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const server = await StoreServer.listen({ host: "127.0.0.1", port, token, size: 2 });
  await (await met).close();
  await server.close();
});

test("a master that takes connections and never answers ends with the deadline", async () => {
  const open: Socket[] = [];
  const silent = createServer((socket) => open.push(socket));
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as AddressInfo;
  const to = { host: "127.0.0.1", port, token, rank: 1, name: "host-1" };
  await assert.rejects(StoreClient.connect(to, 600), {
    message: /within 0\.[5-9] s: no answer|within 1/,
  });
  for (const socket of open) socket.destroy();
  silent.close();
});

test("garbage ends its own connection and nothing else", async () => {
  const server = await listen();
  const one = await StoreClient.connect(place(server, 1), 5000);
  const garbage: (string | Buffer)[] = [
    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "null\n",
    "[]\n",
    "7\n",
    '{"token":7}\n',
    '{"token":"x","__proto__":{"token":"y"}}\n',
    "\n\n\n",
    "{".repeat(100_000) + "\n",
    randomBytes(200_000),
    Buffer.alloc(3 << 20, 0x61),
    Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x0a]),
  ];
  for (const bytes of garbage) {
    const socket = await stranger(server);
    socket.write(bytes);
    socket.write("\n");
    assert.ok((await lasted(socket)) < 2000, JSON.stringify(bytes.toString("latin1").slice(0, 30)));
  }
  // A member's own nonsense is answered, or ends its connection.
  const two = await stranger(server);
  two.write(`${JSON.stringify({ token, rank: 2, host: "h".repeat(1000), pid: "x" })}\n`);
  two.write(
    '{"op":"drop","id":1,"key":"k"}\n{"op":"set","id":"x","key":3}\n{"op":"add","id":2,"key":"k","value":"1"}\n',
  );
  let answers = "";
  two.on("data", (text) => (answers += String(text)));
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(answers.match(/"error"/g)?.length, 3, answers);
  const gone = new Promise((resolve) => {
    server.events = { gone: ({ rank }) => resolve(rank) };
  });
  two.write("no json\n");
  assert.equal(await gone, 2);
  assert.equal(await one.add("still here", 1), 1);
  await one.close();
  await server.close();
});

test("who says nothing, or a letter at a time, is put out; a hundred of them keep no rank out", async () => {
  const server = await listen();
  const idle: Promise<number>[] = [];
  for (let i = 0; i < 100; ++i) {
    const socket = await stranger(server);
    idle.push(lasted(socket));
    if (i === 0) {
      const slow = setInterval(() => socket.write('{"token":"x'), 300);
      socket.once("close", () => clearInterval(slow));
    }
  }
  // The first ones hold their places for five seconds; a rank that comes meanwhile comes again.
  const one = await StoreClient.connect(place(server, 1), 20_000);
  const times = await Promise.all(idle);
  assert.ok(
    times.every((ms) => ms < 8000),
    `${Math.max(...times)} ms`,
  );
  await one.close();
  await server.close();
});

test("a connection that dies without a word is told with its rank", async () => {
  const server = await listen();
  const gone = new Promise<string>((resolve) => {
    server.events = { gone: ({ rank, host }, why) => resolve(`${rank} ${host} ${why}`) };
  });
  const socket = await stranger(server);
  socket.write(`${JSON.stringify({ token, rank: 3, host: "host-3", pid: 1 })}\n`);
  await new Promise((resolve) => socket.once("data", resolve));
  socket.resetAndDestroy();
  assert.match(await gone, /^3 host-3 its connection (?:broke|was closed)/);
  // The place is free again.
  await (await StoreClient.connect(place(server, 3), 5000)).close();
  await server.close();
});

test("a server that ends rejects what is asked", async () => {
  const server = await listen();
  const one = await StoreClient.connect(place(server, 1), 5000);
  const waiting = assert.rejects(one.wait("never"), {
    code: "ERR_RANKS",
    message: /connection to rank 0 ended/,
  });
  const gone = new Promise((resolve) => {
    one.events = { gone: resolve };
  });
  await server.close();
  await waiting;
  await gone;
  assert.ok(!one.open);
});

// Neither a store nor its clients keep a process that has nothing else to do.
const kept = setInterval(() => undefined, 1000);
test.after(() => clearInterval(kept));

test.run();
