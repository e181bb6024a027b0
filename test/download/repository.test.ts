// A repository's files: what is wanted, listings that lie, room on the disk, tokens and endpoints; and the command.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import { accessOf, checkedPath, checkedRepository } from "../../ts/download/access.js";
import { defaultPatience } from "../../ts/download/file.js";
import { listRepository } from "../../ts/download/hub.js";
import { downloadRepository, wantedFiles } from "../../ts/download/repository.js";
import { bin } from "../support/cli.js";
import { content, gitSha1, send, serve, sha256 } from "./server.js";

const test = suite("download: a repository");
const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-repository-"));
test.after(() => {
  rmSync(folder, { recursive: true });
});

const commit = "c".repeat(40);
const model = content(50_000);
const config = Buffer.from("{}\n");
const files: Readonly<Record<string, Buffer>> = {
  "transformer/model.safetensors": model,
  "config.json": config,
  "LICENSE.md": Buffer.from("free\n"),
};

function hub(revision = "main") {
  return serve((request, response) => {
    const [, at, name] = /^\/o\/n\/resolve\/([^/]+)\/(.*)$/.exec(request.url!) ?? [];
    const data = files[decodeURIComponent(name ?? "")];
    if (data === undefined || (at !== revision && at !== commit)) response.writeHead(404).end();
    else send(request, response, data, { headers: { "x-repo-commit": commit } });
  });
}

const listed = [
  { type: "directory", path: "transformer", size: 0, oid: "0" },
  {
    type: "file",
    path: "transformer/model.safetensors",
    size: 130,
    oid: "0",
    lfs: { oid: sha256(model), size: model.length },
  },
  { type: "file", path: "config.json", size: config.length, oid: gitSha1(config) },
];

/** A stand-in for `@huggingface/hub`, which gives these entries. */
function hubPackage(entries: readonly object[], asked: object[] = []) {
  return () =>
    Promise.resolve({
      async *listFiles(options: object) {
        asked.push(options);
        yield* entries;
      },
    });
}
const repository = "o/n";
const access = { endpoint: "http://127.0.0.1:1", token: "hf_x" };
const isRefused = (code: string, message: RegExp) => (error: unknown) => {
  assert.equal((error as { code: string }).code, code, String(error));
  assert.match((error as Error).message, message);
  return true;
};

test("the hub's package lists, each file with its size and checksum; without it the message says what to do", async () => {
  const asked: object[] = [];
  const all = await listRepository(
    access,
    { repository, revision: "main" },
    hubPackage(listed, asked),
  );
  assert.deepEqual(all, [
    { path: "transformer/model.safetensors", size: model.length, sha256: sha256(model) },
    { path: "config.json", size: config.length, gitSha1: gitSha1(config) },
  ]);
  assert.deepEqual(asked, [
    {
      repo: { type: "model", name: "o/n" },
      revision: "main",
      recursive: true,
      hubUrl: access.endpoint,
      accessToken: "hf_x",
    },
  ]);
  for (const [thrown, message] of [
    [Object.assign(new Error("no"), { statusCode: 401 }), /o\/n: expected access, got 401.*gated/],
    [new TypeError("fetch failed"), /o\/n: expected a list of its files, got fetch failed/],
  ] as const) {
    const failing = () =>
      Promise.resolve({
        // eslint-disable-next-line require-yield
        async *listFiles() {
          throw thrown;
        },
      });
    await assert.rejects(
      listRepository(access, { repository, revision: "main" }, failing),
      isRefused("ERR_DOWNLOAD", message),
    );
  }
  await assert.rejects(
    listRepository(access, { repository, revision: "main" }, () => Promise.reject(new Error("no"))),
    isRefused("ERR_DOWNLOAD", /npm install @huggingface\/hub, or name files by --file/),
  );
});

test("a listing that leads out of the folder is refused", async () => {
  const names = ["../x", "/etc/passwd", "a/../../x", "a//b", "a\\b", "C:/x", "a\0b", "./a", ""];
  for (const name of names) {
    assert.throws(
      () => checkedPath(name),
      isRefused("ERR_DOWNLOAD", /a name inside the repository/),
    );
    const entries = [{ type: "file", path: name, size: 1, oid: "0" }];
    await assert.rejects(
      listRepository(access, { repository, revision: "main" }, hubPackage(entries)),
      isRefused("ERR_DOWNLOAD", /inside the repository/),
    );
  }
  for (const name of ["flux", "a/b/c", "../x", "a/..", "a b/c"])
    assert.throws(() => checkedRepository(name), isRefused("ERR_CONFIG", /OWNER\/NAME/));
});

test("patterns choose files", () => {
  const named = ["a.json", "x/b.json", "x/y/c.bin"].map((name) => ({ path: name, size: 1 }));
  const chosen = (options: Parameters<typeof wantedFiles>[1]) =>
    wantedFiles(named, options).map((file) => file.path);
  assert.deepEqual(chosen({}), ["a.json", "x/b.json", "x/y/c.bin"]);
  assert.deepEqual(chosen({ include: ["*.json"] }), ["a.json"]);
  assert.deepEqual(chosen({ include: ["**/*.json"] }), ["a.json", "x/b.json"]);
  assert.deepEqual(chosen({ include: ["x/**"], exclude: ["**/*.bin"] }), ["x/b.json"]);
  assert.throws(() => chosen({ include: ["z*"] }), isRefused("ERR_CONFIG", /got none of them/));
});

test("all files, of one commit though the branch may move; what is there is not asked for again", async () => {
  const server = await hub();
  try {
    const out = path.join(folder, "whole");
    const request = {
      repository,
      revision: "main",
      files: await listRepository(access, { repository, revision: "main" }, hubPackage(listed)),
      out,
      patience: { ...defaultPatience, backoffMs: 5 },
      signal: new AbortController().signal,
    };
    const here = { endpoint: server.origin, token: undefined };
    let last = 0;
    await downloadRepository(here, { ...request, onBytes: (bytes) => (last = bytes) });
    assert.equal(last, model.length + config.length);
    assert.ok(readFileSync(path.join(out, "transformer/model.safetensors")).equals(model));
    assert.deepEqual(readdirSync(out).toSorted(), ["config.json", "transformer"]);
    assert.match(server.seen[1]!.url, new RegExp(`/resolve/${commit}/config.json`));
    await downloadRepository(here, request);
    assert.equal(server.seen.length, 2);
    writeFileSync(path.join(out, "config.json"), "[]\n");
    await downloadRepository(here, request);
    assert.equal(server.seen.length, 3);
    assert.ok(readFileSync(path.join(out, "config.json")).equals(config));
  } finally {
    await server.close();
  }
});

test("a disk without room is said before anything is asked for", async () => {
  await assert.rejects(
    downloadRepository(access, {
      repository,
      revision: "main",
      files: [{ path: "a", size: 1e15 }],
      out: path.join(folder, "full"),
      patience: defaultPatience,
      signal: new AbortController().signal,
    }),
    isRefused("ERR_DOWNLOAD", /expected 1000000\.0 GB of room for what is still to come, got/),
  );
});

test("endpoint and token come from the environment, and a token goes over https alone", () => {
  const file = path.join(folder, "token");
  writeFileSync(file, "hf_file\n");
  assert.deepEqual(accessOf({ HF_TOKEN: "hf_a", HF_ENDPOINT: "https://mirror.example/" }), {
    endpoint: "https://mirror.example",
    token: "hf_a",
  });
  assert.equal(accessOf({ HF_TOKEN_PATH: file }).token, "hf_file");
  assert.equal(accessOf({ HF_TOKEN: "hf_a" }, { tokenFile: file }).token, "hf_file");
  assert.equal(accessOf({ HF_HOME: "/nowhere" }).endpoint, "https://huggingface.co");
  for (const [env, message] of [
    [{ HF_TOKEN: "hf_a", HF_ENDPOINT: "http://mirror.example" }, /https for a token to be sent to/],
    [{ HF_ENDPOINT: "ftp://x" }, /endpoint: expected an address/],
    [{ HF_TOKEN: "two words" }, /token: expected one word, got something else in HF_TOKEN/],
  ] as const)
    assert.throws(() => accessOf(env), isRefused("ERR_CONFIG", message));
});

/** The command with an environment. */
function command(args: readonly string[], env: Record<string, string>) {
  const child = spawn(process.execPath, [bin, "download", ...args], {
    env: { ...process.env, HF_HOME: "/nowhere", ...env },
    cwd: folder,
  });
  const said = { stdout: "", stderr: "" };
  child.stdout.on("data", (text) => (said.stdout += String(text)));
  child.stderr.on("data", (text) => (said.stderr += String(text)));
  return new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) =>
    child.once("close", (code) => resolve({ code, ...said })),
  );
}

test("the command: files by name from HF_ENDPOINT, the licence pointed to; wrong calls are usage", async () => {
  const server = await hub("v1");
  try {
    const env = { HF_ENDPOINT: server.origin, HF_TOKEN: "hf_x" };
    const flags = "--revision v1 --file config.json,LICENSE.md --out there --json".split(" ");
    const { code, stdout, stderr } = await command(["o/n", ...flags], env);
    assert.equal(code, 0, stderr);
    const out = path.join(folder, "there");
    assert.deepEqual(JSON.parse(stdout), { out, files: ["config.json", "LICENSE.md"] });
    assert.match(stderr, /licence: .*LICENSE\.md/);
    assert.equal(server.seen[0]!.authorization, "Bearer hf_x");
    const missing = await command(["o/n", "--file", "none.bin"], env);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /got 404/);
    assert.ok(!existsSync(path.join(folder, "n", "none.bin")));
    const usage = await command([], env);
    assert.equal(usage.code, 2);
    assert.match(usage.stderr, /expected one repository, OWNER\/NAME, got none/);
  } finally {
    await server.close();
  }
});

test.run();
