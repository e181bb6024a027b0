// The wall: what a method is judged by, nothing that trains may know.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "uvu";
import { packageRoot } from "../../../ts/native/load.js";

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    return entry.isDirectory() ? filesUnder(file) : file.endsWith(".ts") ? [file] : [];
  });
}

/** What a source file imports of ours, static or not, as paths. */
function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  return [...text.matchAll(/(?:from|import)\s*\(?\s*["'](\.[^"']+)["']/g)].map((match) =>
    path.resolve(path.dirname(file), match[1]!.replace(/\.js$/, ".ts")),
  );
}

const rooms = ["methods", "rewards", "train", "sampler", "models"];

for (const room of rooms)
  test(`nothing that ts/${room} imports, near or far, is a judge`, () => {
    const seen = new Set<string>();
    const stack = filesUnder(path.join(packageRoot, "ts", room));
    assert.ok(stack.length > 0);
    for (let file = stack.pop(); file !== undefined; file = stack.pop()) {
      if (seen.has(file)) continue;
      seen.add(file);
      for (const walled of ["judges", "evaluation"])
        assert.ok(
          !path.relative(packageRoot, file).startsWith(path.join("ts", "micro", walled)),
          `${file} is reached from ts/${room}`,
        );
      stack.push(...importsOf(file));
    }
  });

test.run();
