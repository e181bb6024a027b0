// The tarball that npm would publish, unpacked elsewhere and used from there. That npm builds the addon from
// it is .ci/packed's to show; here the addon is the one that is built already.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { packageRoot } from "../../ts/native/load.js";
import { at, small } from "../support/cli.js";

const test = suite("the packed tarball");

function call(program: string, args: readonly string[], cwd: string): string {
  const ended = spawnSync(program, args, { cwd, encoding: "utf8", timeout: 60_000 });
  assert.equal(ended.status, 0, `${program} ${args.join(" ")}: ${ended.stdout}${ended.stderr}`);
  return ended.stdout;
}

interface Packed {
  filename: string;
  files: { path: string }[];
}

test("has all that it needs, and nothing of the tests", () => {
  const pack = ["pack", "--json", "--ignore-scripts", "--pack-destination", at(".")];
  const [packed] = JSON.parse(call("npm", pack, packageRoot)) as [Packed];
  const names = new Set(packed.files.map((file) => file.path));
  const odd = [...names].filter(
    (name) => !/^(?:bin|dist\/ts|dist\/bench|bench\/support|assets|cpp|cuda)\//.test(name),
  );
  assert.deepEqual(
    odd.filter(
      (name) => !/^(?:README\.md|LICENSE|package\.json|CMakeLists\.txt|binding\.gyp)$/.test(name),
    ),
    [],
  );
  for (const name of ["LICENSE", "binding.gyp", "CMakeLists.txt", "bin/build-native.mjs"])
    assert.ok(names.has(name), name);
  for (const source of readFileSync(path.join(packageRoot, "cpp/sources.txt"), "utf8").split("\n"))
    assert.ok(source === "" || names.has(source), source);

  mkdirSync(at("elsewhere/node_modules"), { recursive: true });
  call("tar", ["-xzf", at(packed.filename)], at("elsewhere"));
});

test("unpacked elsewhere: doctor, demo, init, train, bench, and the library", () => {
  const home = at("elsewhere");
  const own = path.join(home, "package");
  const modules = path.join(home, "node_modules");
  symlinkSync(own, path.join(modules, "srpo-native"));
  // Only what npm would install with it.
  const { dependencies } = JSON.parse(readFileSync(path.join(own, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  mkdirSync(path.join(own, "node_modules"));
  for (const name of Object.keys(dependencies))
    symlinkSync(path.join(packageRoot, "node_modules", name), path.join(own, "node_modules", name));
  mkdirSync(path.join(own, "build/Release"), { recursive: true });
  const addon = "build/Release/srpo_native.node";
  cpSync(path.join(packageRoot, addon), path.join(own, addon));

  const us = (...args: string[]) =>
    call(process.execPath, [path.join(modules, "srpo-native/bin/srpo-native.js"), ...args], home);
  assert.ok(us("doctor").includes(path.join(own, addon)));
  us("verify");
  const tiny = ["--updates", "1", "--prompts", "2", "--pictures", "1", "--look-every", "0"];
  assert.match(us("demo", ...tiny), /^realism +[\d.]+ % +[\d.]+ %/m);
  assert.ok(existsSync(path.join(home, "runs/demo/report.html")));
  us("init", "micro", "micro");
  us("train", ...small, "--model", "micro", "--steps", "1", "--out", "run");
  assert.ok(existsSync(path.join(home, "run/checkpoints/step-000001/manifest.json")));
  const quick = ["--against", "none", "--rounds", "1", "--round-ms", "1"];
  assert.match(us("bench", "linear", ...quick), /^linear /m);
  const library = 'import("srpo-native").then((us) => console.log(typeof us.tensorScope))';
  assert.equal(call(process.execPath, ["-e", library], home), "function\n");
});

test.run();
