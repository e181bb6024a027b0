import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import { decodePng } from "../../ts/data/png.js";
import { contactSheet } from "../../ts/micro/contact_sheet.js";
import { scenesOf } from "../../ts/micro/scenes.js";
import { packageRoot } from "../../ts/native/load.js";

const test = suite("micro contact sheet");

test("a style a row, a scene a column", async () => {
  const scenes = scenesOf("validation", 3, 5);
  const { picture, columns } = await contactSheet(scenes, 64);
  assert.deepEqual([picture.width, picture.height], [5 * 66 - 2, 4 * 66 - 2]);
  assert.deepEqual(
    columns.map(({ attributes }) => attributes),
    scenes.map(({ attributes }) => attributes),
  );
});

/** The exit code of a command line in a process of its own, and what it said. */
function call(...args: string[]): { code: number | null; errors: string } {
  const bin = path.join(packageRoot, "bin", "srpo-native.js");
  const { status, stderr } = spawnSync(process.execPath, [bin, "micro", ...args], {
    encoding: "utf8",
  });
  return { code: status, errors: stderr };
}

test("micro render writes the sheet and its captions", () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-micro-"));
  try {
    const out = path.join(folder, "a", "sheet");
    assert.deepEqual(call("render", "--out", out, "--count", "3", "--seed", "7"), {
      code: 0,
      errors: "",
    });
    const { width, height } = decodePng(readFileSync(path.join(out, "sheet.png")));
    assert.deepEqual([width, height], [3 * 66 - 2, 4 * 66 - 2]);
    const about = JSON.parse(readFileSync(path.join(out, "captions.json"), "utf8")) as {
      columns: { caption: string }[];
    };
    assert.equal(about.columns.length, 3);
    for (const { caption } of about.columns) assert.ok(caption.length > 10);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a call that cannot be is answered with exit 2, and nothing is written", () => {
  const out = path.join(os.tmpdir(), `srpo-micro-never-${process.pid}`);
  for (const [args, said] of [
    [["render", "--out", out, "--count", "0"], "count"],
    [["render", "--out", out, "--count", "-3"], "count"],
    [["render", "--out", out, "--size", "0"], "size"],
    [["render", "--out", out, "--seed", "abc"], "seed"],
    [["render", "--out", out, "--split", "all"], "split"],
    [["render"], "out"],
    [["paint", "--out", out], "render"],
    [["--out", out], "render"],
    [["limits"], "limits FOLDER"],
    [["render", "limits", "--out", out], "limits FOLDER"],
  ] as const) {
    const { code, errors } = call(...args);
    assert.equal(code, 2, args.join(" "));
    assert.ok(errors.includes(said), `${args.join(" ")}: ${errors}`);
  }
  assert.ok(!existsSync(out));
});

test.run();
