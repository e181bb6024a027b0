import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import {
  completeCheckpoints,
  isComplete,
  latestComplete,
  readManifest,
  removeFolder,
  saveFolder,
  stepName,
  verifyManifest,
} from "../../ts/checkpoint/folder.js";
import type { FolderWriter } from "../../ts/checkpoint/folder_writer.js";
import { besideName } from "../../ts/checkpoint/leftovers.js";
import { loadState, saveState } from "../../ts/checkpoint/state.js";
import { tensor, zeros } from "../../ts/tensor/tensor.js";
import { randn, type Test } from "../support/index.js";
import { folder as scratch, fresh } from "./files.js";

const test = suite("checkpoint folders");

const two = async (folder: FolderWriter) => {
  await folder.json("config.json", { a: 1 });
  await folder.bytes("sub/deep/text.txt", "hello");
};

/** The names beside and below a place, sorted. */
const namesIn = (place: string) => readdirSync(place, { recursive: true }).map(String).sort();

/** A pid that no process has. */
function deadPid(): number {
  return spawnSync("true").pid;
}

test("a folder arrives whole, with the size and hash of every file", async () => {
  const place = path.join(fresh("save"), stepName(20));
  await saveFolder(place, two);
  assert.deepEqual(namesIn(path.dirname(place)), [
    "step-000020",
    "step-000020/config.json",
    "step-000020/manifest.json",
    "step-000020/sub",
    "step-000020/sub/deep",
    "step-000020/sub/deep/text.txt",
  ]);
  assert.deepEqual(readManifest(place).get("sub/deep/text.txt"), {
    bytes: 5,
    sha256: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
  });
  await verifyManifest(place);
  assert.deepEqual(JSON.parse(readFileSync(path.join(place, "config.json"), "utf8")), { a: 1 });
});

test("a folder that is there is replaced only when asked, and only if it is one of ours", async () => {
  const parent = fresh("replace");
  const place = path.join(parent, "out");
  mkdirSync(place, { recursive: true });
  await saveFolder(place, two); // an empty one is no loss
  await assert.rejects(saveFolder(place, two), {
    code: "ERR_CHECKPOINT",
    message: `${place}: save: expected nothing or an empty folder, got a folder with files`,
  });
  await saveFolder(place, (folder) => folder.bytes("new.txt", "new"), { replace: true });
  assert.deepEqual(namesIn(parent), ["out", "out/manifest.json", "out/new.txt"]);
  rmSync(path.join(place, "manifest.json"));
  await assert.rejects(saveFolder(place, two, { replace: true }), {
    message: `${place}: save: expected an earlier checkpoint, with manifest.json, got a folder of other files`,
  });
  assert.deepEqual(namesIn(parent), ["out", "out/new.txt"]);
});

test("a writer that fails leaves nothing, and what was there", async () => {
  const parent = fresh("fails");
  const place = path.join(parent, "out");
  await saveFolder(place, two);
  const failing = async (folder: FolderWriter) => {
    await folder.bytes("a", "a");
    throw new Error("out of ideas");
  };
  await assert.rejects(saveFolder(place, failing, { replace: true }), {
    code: "ERR_CHECKPOINT",
    message: `${place}: write: expected to write, got out of ideas`,
  });
  for (const name of ["../escape", "/abs", "a//b", "", "."])
    await assert.rejects(
      saveFolder(path.join(parent, "never"), (folder) => folder.bytes(name, "x")),
      { message: `save: expected a name in the folder, got ${name}` },
    );
  assert.deepEqual(readdirSync(parent), ["out"]);
  await verifyManifest(place);
});

test("a file in the folder's place, or in its parent's", async () => {
  const file = fresh("file");
  writeFileSync(file, "mine");
  await assert.rejects(saveFolder(file, two, { replace: true }), {
    code: "ERR_CHECKPOINT",
    message: `${file}: save: expected a folder or nothing, got a file in its place`,
  });
  for (const place of [path.join(file, "step"), path.join(file, "deeper", "step")])
    await assert.rejects(saveFolder(place, two), {
      code: "ERR_CHECKPOINT",
      message: `${file}: write: expected a folder, got a file in its place`,
    });
  assert.equal(readFileSync(file, "utf8"), "mine");
});

test("what dead runs left is removed, what living ones write stays", async () => {
  const parent = fresh("leftovers");
  const place = path.join(parent, stepName(3));
  await saveFolder(place, two);
  const mine = besideName(path.join(parent, stepName(4)), "tmp");
  const dead = mine.replace(`tmp-${process.pid}-`, `tmp-${deadPid()}-`);
  // The pid is taken again, but by a process that started at another time.
  const reused = mine.replace(/x([0-9a-f]{8})$/, "1x$1");
  for (const left of [mine, dead, reused]) {
    mkdirSync(path.join(left, "transformer"), { recursive: true });
    writeFileSync(path.join(left, "transformer", "half"), "half");
  }
  const notOurs = path.join(parent, "notes.tmp-1-x");
  mkdirSync(notOurs);
  assert.equal((await latestComplete(parent))?.step, 3);
  assert.deepEqual(readdirSync(parent).sort(), [
    path.basename(notOurs),
    stepName(3),
    path.basename(mine),
  ]);
});

test("a folder that was moved aside comes back if its successor did not arrive", async () => {
  const parent = fresh("aside");
  const place = path.join(parent, stepName(3));
  await saveFolder(place, two);
  const aside = besideName(place, "old").replace(`old-${process.pid}-`, `old-${deadPid()}-`);
  renameSync(place, aside);
  assert.equal((await latestComplete(parent))?.path, place);
  await verifyManifest(place);
  // And goes if it did.
  mkdirSync(aside);
  writeFileSync(path.join(aside, "config.json"), "{}");
  assert.equal((await latestComplete(parent))?.step, 3);
  assert.deepEqual(readdirSync(parent), [stepName(3)]);
});

test("the newest complete checkpoint is found, not the newest name", async () => {
  const parent = fresh("latest");
  assert.equal(await latestComplete(parent), undefined);
  for (const step of [5, 20, 100, 1_000_000])
    await saveFolder(path.join(parent, stepName(step)), two);
  mkdirSync(path.join(parent, "step-2000000"));
  mkdirSync(path.join(parent, "step-abc"));
  writeFileSync(path.join(parent, "step-3000000"), "");
  assert.equal((await latestComplete(parent))?.step, 1_000_000);
  rmSync(path.join(parent, "step-1000000", "config.json"));
  assert.equal((await latestComplete(parent))?.step, 100);
  appendFileSync(path.join(parent, "step-000100", "config.json"), " ");
  assert.equal((await latestComplete(parent))?.step, 20);
  writeFileSync(path.join(parent, "step-000020", "manifest.json"), '{"files":');
  assert.deepEqual(
    (await completeCheckpoints(parent)).map(({ step }) => step),
    [5],
  );
});

test("a changed, cut or missing file is found by the manifest", async () => {
  const place = path.join(fresh("verify"), "out");
  await saveFolder(place, async (folder) => {
    await two(folder);
    await folder.bytes("big.bin", Buffer.alloc(3_000_000, 7));
  });
  const big = Buffer.alloc(3_000_000, 7);
  big[2_999_999] = 8;
  writeFileSync(path.join(place, "big.bin"), big);
  assert.equal(await isComplete(place), true); // sizes are right
  await assert.rejects(verifyManifest(place), {
    code: "ERR_CHECKPOINT",
    message: `${place}: big.bin: expected the SHA-256 of the manifest, got another`,
  });
  writeFileSync(path.join(place, "big.bin"), "");
  rmSync(path.join(place, "config.json"));
  await assert.rejects(verifyManifest(place), {
    message:
      `${place}: config.json: expected 8 bytes, got no file; big.bin: expected 3000000 bytes, got 0`.replace(
        "8 bytes",
        `${readManifest(place).get("config.json")!.bytes} bytes`,
      ),
  });
});

test("a manifest that names files outside is refused", async () => {
  const place = path.join(fresh("manifest"), "out");
  mkdirSync(place, { recursive: true });
  for (const name of ["../x", "/etc/passwd", "a/../../x", "a\0b"]) {
    const files = { [name]: { bytes: 1, sha256: "" } };
    writeFileSync(path.join(place, "manifest.json"), JSON.stringify({ format: 1, files }));
    assert.throws(() => readManifest(place), { code: "ERR_CHECKPOINT" });
    assert.equal(await isComplete(place), false);
  }
});

test("files from elsewhere are copied or linked", async () => {
  const parent = fresh("elsewhere");
  mkdirSync(parent);
  const from = path.join(parent, "big.bin");
  writeFileSync(from, Buffer.alloc(2_500_000, 3));
  symlinkSync(from, path.join(parent, "symlink"));
  const place = path.join(parent, "out");
  await saveFolder(place, async (folder) => {
    await folder.copy("a/copied", from);
    await folder.link("a/linked", path.join(parent, "symlink"));
    await folder.link("a/again", from);
  });
  await verifyManifest(place);
  const inode = (name: string) => lstatSync(path.join(place, "a", name)).ino;
  assert.equal(inode("linked"), statSync(from).ino);
  assert.equal(inode("again"), statSync(from).ino);
  assert.notEqual(inode("copied"), statSync(from).ino);
  for (const how of ["copy", "link"] as const)
    await assert.rejects(
      saveFolder(path.join(parent, "never"), (folder) =>
        folder[how]("x", path.join(parent, "gone")),
      ),
      {
        code: "ERR_CHECKPOINT",
        message: `${path.join(parent, "gone")}: read: expected a readable file, got ENOENT: no such file or directory`,
      },
    );
});

test("a folder is removed under another name", async () => {
  const parent = fresh("remove");
  await saveFolder(path.join(parent, "out"), two);
  await removeFolder(path.join(parent, "out"));
  assert.deepEqual(readdirSync(parent), []);
});

test("state is saved and loaded bit for bit, and other tensors are all named", async () => {
  const place = path.join(fresh("state"), "out");
  const tensors = {
    m: randn([5, 3], { seed: 1 }),
    v: tensor([NaN, -0, 1e-45, Infinity], [4]),
    remainder: tensor([0, 255, 7], [3], { dtype: "uint8" }),
    weights: randn([9], { seed: 2, dtype: "bfloat16" }),
    ids: tensor([1, -1], [2], { dtype: "int32" }),
  };
  const json = { step: 7, seed: "18446744073709551615", lr: 1e-6 };
  await saveFolder(place, (folder) => saveState(folder, "optimizer", { tensors, json }));
  const back = Object.fromEntries(
    Object.entries(tensors).map(([name, t]) => [name, zeros(t.shape, { dtype: t.dtype })]),
  );
  assert.deepEqual(await loadState(place, "optimizer", back), json);
  for (const [name, t] of Object.entries(tensors))
    assert.deepEqual(await back[name]!.readBytes(), await t.readBytes(), name);
  const { ids: _, ...fewer } = back;
  await assert.rejects(
    loadState(place, "optimizer", {
      ...fewer,
      m: zeros([15]),
      v: zeros([4], { dtype: "bfloat16" }),
      x: zeros([1]),
    }),
    {
      code: "ERR_CHECKPOINT",
      message:
        `${path.join(place, "optimizer.safetensors")}: m: expected F32 [15], got F32 [5, 3]; ` +
        "v: expected BF16 [4], got F32 [4]; x: expected F32 [1], got none; " +
        "ids: expected no such tensor, got one",
    },
  );
});

/** A file system of 2 MB, or undefined where mounting is not permitted. */
function smallDisk(): string | undefined {
  const place = path.join(scratch, "small-disk");
  mkdirSync(place);
  const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", "size=2m", "srpo-test", place]);
  return status === 0 ? place : undefined;
}

const disk = smallDisk();
const withDisk: Test =
  disk === undefined ? (name, fn) => test.skip(name, fn) : (name, fn) => test(name, fn);
withDisk("a full disk is one clear error, and no earlier checkpoint is lost", async () => {
  const parent = path.join(disk!, "checkpoints");
  const save = (step: number, bytes: number) =>
    saveFolder(path.join(parent, stepName(step)), async (folder) => {
      const weights = zeros([bytes / 4]);
      await folder.safetensors("weights.safetensors", [{ name: "w", tensor: weights }]);
      await folder.json("later.json", {});
    });
  try {
    await save(1, 1_000_000);
    for (const bytes of [1_500_000, 1_200_000, 8_000_000])
      await assert.rejects(save(2, bytes), {
        code: "ERR_CHECKPOINT",
        message: `${path.join(parent, "step-000002", "weights.safetensors")}: write: expected room on the disk, got a full one (ENOSPC)`,
      });
    assert.deepEqual(readdirSync(parent), ["step-000001"]);
    assert.equal((await latestComplete(parent))?.step, 1);
    await verifyManifest(path.join(parent, stepName(1)));
    execFileSync("mount", ["-o", "remount,ro", disk!]);
    const blocked = path.join(parent, "step-000002");
    await assert.rejects(save(2, 1000), {
      code: "ERR_CHECKPOINT",
      message: `${blocked}: write: expected a file system to write to, got a read-only one (EROFS)`,
    });
    execFileSync("mount", ["-o", "remount,rw", disk!]);
    await save(2, 500_000);
    assert.equal((await latestComplete(parent))?.step, 2);
  } finally {
    execFileSync("umount", [disk!]);
    assert.ok(!existsSync(parent));
  }
});

test.run();
