// Every recipe in assets/recipes: its own dry-run line passes with built-in sizes, and its comment says what
// this version lacks for it.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { packageRoot } from "../../ts/native/load.js";
import { at, microFolder, succeed } from "../support/cli.js";

const test = suite("recipes");
test.before(async () => void (await microFolder()));

const folder = path.join(packageRoot, "assets", "recipes");
const files = readdirSync(folder).filter((name) => name.endsWith(".yaml"));

test("there are recipes, and the room's README names each", () => {
  const readme = readFileSync(path.join(folder, "README.md"), "utf8");
  assert.ok(files.length >= 5);
  for (const name of files) assert.ok(readme.includes(`\`${name}\``), name);
});

for (const name of files)
  test(`${name} is right, fits, and says what is missing`, async () => {
    const text = readFileSync(path.join(folder, name), "utf8");
    const [, flags] = /^# {3}npx srpo-native train \S+ (--dry-run.*)$/m.exec(text) ?? [];
    assert.ok(flags, "expected a line with --dry-run in the comment");
    const sizes = name.startsWith("cpu-")
      ? ["--model", at("micro")]
      : ["--model", "flux.1-dev", "--reward", name.includes("pickscore") ? "pickscore" : "hpsv2.1"];
    const { stdout } = await succeed(
      "train",
      path.join(folder, name),
      ...flags.split(" "),
      ...sizes,
    );
    assert.match(stdout, /^# {3}together .* fits$/m);
    assert.ok(!stdout.includes("not in this version"), stdout);
    const missing = [...stdout.matchAll(/^# has never run on hardware: (.*)$/gm)].map(
      ([, what]) => what!,
    );
    const comment = text.match(/^#.*$/gm)!.join(" ");
    assert.equal(
      missing.length > 0,
      comment.includes("Has never run on hardware"),
      missing.join("; "),
    );
    for (const what of missing)
      assert.ok(
        ["cuda device", "several ranks"].some(
          (word) => what.includes(word) && comment.includes(word),
        ),
        `the comment does not say: ${what}`,
      );
  });

test.run();
