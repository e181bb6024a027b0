// Files from servers that cut, lie, stall and send elsewhere: whole and checked, or no file of that name.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import { downloadFile, isThere, type FileRequest } from "../../ts/download/file.js";
import type { RemoteFile } from "../../ts/download/hub.js";
import {
  content,
  fromOf,
  gitSha1,
  send,
  serve,
  sha256,
  type Handler,
  type Served,
} from "./server.js";

const test = suite("download: a file");
const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-download-"));
test.after(() => {
  rmSync(folder, { recursive: true });
});

const data = content(300_000);
const known: RemoteFile = { path: "model.bin", size: data.length, sha256: sha256(data) };
let count = 0;
const newPlace = () => path.join(folder, String(++count), "model.bin");

interface Trial {
  place?: string;
  remote?: RemoteFile;
  token?: string;
  attempts?: number;
  stallMs?: number;
  signal?: AbortSignal;
  onBytes?: (bytes: number) => void;
}

async function fetched(
  server: Served,
  {
    place = newPlace(),
    remote = known,
    token,
    attempts = 4,
    stallMs = 10_000,
    signal,
    onBytes,
  }: Trial = {},
): Promise<string> {
  const request: FileRequest = {
    url: `${server.origin}/o/n/resolve/main/model.bin`,
    repository: "o/n",
    remote,
    place,
    patience: { attempts, backoffMs: 5, stallMs },
    signal: signal ?? new AbortController().signal,
    ...(onBytes && { onBytes }),
  };
  await downloadFile({ endpoint: server.origin, token }, request);
  return place;
}

/** With a server of this behaviour; it is closed whatever happens. */
async function withServer(handler: Handler, use: (server: Served) => Promise<void>): Promise<void> {
  const server = await serve(handler);
  try {
    await use(server);
  } finally {
    await server.close();
  }
}

const isWhole = (place: string) => {
  assert.ok(readFileSync(place).equals(data));
  assert.ok(!existsSync(`${place}.part`) && !existsSync(`${place}.part.json`), "a part stayed");
};
const refuses = (promise: Promise<string>, message: RegExp) =>
  assert.rejects(promise, (error: Error & { code: string }) => {
    assert.equal(error.code, "ERR_DOWNLOAD", error.stack);
    assert.match(error.message, message);
    return true;
  });

test("a good server: one request", () =>
  withServer(
    (request, response) => send(request, response, data),
    async (server) => {
      isWhole(await fetched(server));
      assert.equal(server.seen.length, 1);
    },
  ));

test("cut five times and stalled once, it goes on where it was", () =>
  withServer(
    (request, response, before) =>
      send(
        request,
        response,
        data,
        before < 5 ? { cutAfter: 40_000 } : before === 5 ? { stallAfter: 10_000 } : {},
      ),
    async (server) => {
      isWhole(await fetched(server, { attempts: 20, stallMs: 700 }));
      const starts = server.seen.map(({ range }) => Number(/\d+/.exec(range ?? "0")![0]));
      assert.ok(
        starts.every((start, i) => i === 0 || start >= starts[i - 1]!),
        String(starts),
      );
      assert.ok(starts.length >= 7);
      assert.ok(starts.at(-1)! > 0, "what had come was thrown away");
    },
  ));

test("a server that never brings a byte is given up, and the same call goes on later", async () => {
  const place = newPlace();
  await withServer(
    (request, response, before) =>
      before === 0 ? send(request, response, data, { cutAfter: 50_000 }) : response.destroy(),
    async (server) => {
      await refuses(
        fetched(server, { place }),
        /in 4 attempts, got .*; \d+ bytes are kept in .*\.part/,
      );
      assert.ok(!existsSync(place));
      assert.ok(existsSync(`${place}.part`));
    },
  );
});

test("stopped by its signal, a second process goes on from the part", async () => {
  const place = newPlace();
  const controller = new AbortController();
  let slow = true;
  await withServer(
    (request, response) => send(request, response, data, slow ? { stallAfter: 60_000 } : {}),
    async (server) => {
      const onBytes = (bytes: number) => bytes > 0 && controller.abort(new Error("stopped"));
      const { signal } = controller;
      await assert.rejects(fetched(server, { place, signal, onBytes }), /stopped/);
      const kept = statSync(`${place}.part`).size;
      assert.ok(kept > 0 && !existsSync(place));
      slow = false;
      isWhole(await fetched(server, { place }));
      assert.equal(server.seen.at(-1)!.range, `bytes=${kept}-`);
    },
  );
});

test("a part of other content is not gone on with", async () => {
  const place = newPlace();
  const other = content(300_000, 9);
  await withServer(
    (request, response, before) =>
      before === 0
        ? send(request, response, other, { cutAfter: 90_000 })
        : before < 4
          ? response.destroy()
          : send(request, response, data),
    async (server) => {
      const remote = { ...known, sha256: sha256(other) };
      await refuses(fetched(server, { place, remote }), /4 attempts/);
      isWhole(await fetched(server, { place }));
      assert.equal(server.seen.at(-1)!.range, undefined);
    },
  );
});

test("a server that overhears ranges begins anew, one that answers another range is asked again", () =>
  withServer(
    (request, response, before) => {
      if (before === 0) send(request, response, data, { cutAfter: 100_000 });
      else if (before === 1) {
        const range = { "content-range": `bytes 7-${data.length - 1}/${data.length}` };
        response.writeHead(206, range).end(data.subarray(7));
      } else send(request, response, data, { ignoresRange: true });
    },
    async (server) => {
      isWhole(await fetched(server));
      assert.ok(fromOf({ headers: { range: server.seen[1]!.range } } as never) > 0);
    },
  ));

test("lies about lengths: shorter, longer and another file's", async () => {
  await withServer(
    (request, response, before) => {
      if (before === 0)
        response.writeHead(200).end(data.subarray(0, 1000)); // no length, too short
      else if (before === 1) response.writeHead(206, { "content-range": "none" }).end("x");
      else send(request, response, data);
    },
    async (server) => isWhole(await fetched(server)),
  );
  await withServer(
    (_, response, before) =>
      before === 0
        ? void response.writeHead(200).end(Buffer.concat([data, data]))
        : void response.writeHead(200).end(data),
    async (server) => isWhole(await fetched(server)),
  );
  await withServer(
    (request, response) => send(request, response, data.subarray(5)),
    (server) => refuses(fetched(server), /a size of 299995 bytes, not of 300000/),
  );
});

test("a wrong checksum: once is mended, twice is refused and leaves nothing", async () => {
  const wrong = content(300_000, 2);
  await withServer(
    (request, response, before) => send(request, response, before === 0 ? wrong : data),
    async (server) => isWhole(await fetched(server)),
  );
  const place = newPlace();
  await withServer(
    (request, response) => send(request, response, wrong),
    (server) => refuses(fetched(server, { place }), /expected SHA-256 .*, got .*, twice/),
  );
  assert.ok(!existsSync(place) && !existsSync(`${place}.part`));
});

test("small files are checked by git's hash, unlisted ones by the server's own word", async () => {
  const git: RemoteFile = { path: "config.json", size: data.length, gitSha1: gitSha1(data) };
  await withServer(
    (request, response) => send(request, response, data),
    async (server) => {
      const place = await fetched(server, { remote: git });
      assert.ok(await isThere(place, git));
      writeFileSync(place, content(300_000, 3));
      assert.equal(await isThere(place, git), false);
      await refuses(fetched(server, { remote: { ...git, gitSha1: "0".repeat(40) } }), /git SHA-1/);
    },
  );
  const headers = { "x-linked-etag": `"${"1".repeat(64)}"` };
  await withServer(
    (request, response) => send(request, response, data, { headers }),
    (server) =>
      refuses(fetched(server, { remote: { path: "x", size: undefined } }), /SHA-256 1111/),
  );
});

test("sent to another host, the token stays at home; back at home it is there", async () => {
  await withServer(
    (request, response) => send(request, response, data),
    (store) =>
      withServer(
        (_, response) =>
          response.writeHead(302, { location: `${store.origin}/blob?signed=1` }).end("moved"),
        async (home) => {
          isWhole(await fetched(home, { token: "hf_secret" }));
          assert.equal(home.seen[0]!.authorization, "Bearer hf_secret");
          assert.equal(store.seen.length, 1);
          assert.equal(store.seen[0]!.authorization, undefined);
        },
      ),
  );
  await withServer(
    (request, response, before) =>
      before === 0
        ? response.writeHead(307, { location: "/elsewhere" }).end()
        : send(request, response, data),
    async (home) => {
      isWhole(await fetched(home, { token: "hf_secret" }));
      assert.equal(home.seen[1]!.authorization, "Bearer hf_secret");
    },
  );
});

test("redirects that never end, or lead out of the web, are refused", async () => {
  for (const location of ["/again", "file:///etc/passwd"])
    await withServer(
      (_, response) => response.writeHead(302, { location }).end(),
      (server) => refuses(fetched(server), /redirected \d times|sent on by https/),
    );
});

test("gated, missing and busy: refused with what to do, or asked again as the server wants", async () => {
  for (const [status, token, words] of [
    [401, undefined, /no token was given.*accept its licence at .*\/o\/n.*HF_TOKEN/],
    [403, "hf_x", /a token was given/],
    [404, undefined, /got 404: no such repository, revision or file/],
    [418, undefined, /got status 418/],
  ] as const)
    await withServer(
      (_, response) => response.writeHead(status).end(),
      async (server) => {
        await refuses(fetched(server, token === undefined ? {} : { token }), words);
        assert.equal(server.seen.length, 1, "asked again for what is refused");
      },
    );
  await withServer(
    (request, response, before) =>
      before < 2
        ? response.writeHead(before === 0 ? 503 : 429, { "retry-after": "0" }).end()
        : send(request, response, data),
    async (server) => isWhole(await fetched(server)),
  );
});

test.run();
