// bin/build-native.mjs with pretended tools: when the fallback builds, and when it must leave what is there alone.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import { packageRoot } from "../../ts/native/load.js";

const test = suite("build-native");
const tree = mkdtempSync(path.join(os.tmpdir(), "srpo-build-"));
const at = (...names: string[]) => path.join(tree, ...names);
const addon = at("build", "Release", "srpo_native.node");
const write = (file: string, text: string) => {
  mkdirSync(path.dirname(at(file)), { recursive: true });
  writeFileSync(at(file), text);
};

test.before(() => {
  cpSync(path.join(packageRoot, "bin"), at("bin"), { recursive: true });
  write("package.json", "{}");
  write("CMakeLists.txt", "");
  write("binding.gyp", "{}");
  for (const folder of ["cpp", "cuda", "test/cuda"]) write(`${folder}/a.txt`, "");
  // Each fails as a file beside it says; what node-gyp builds is told from what was there.
  write(
    "node_modules/cmake-js/bin/cmake-js.js",
    `const word = process.argv[2];
     console.log("cmake-js " + process.argv.slice(2).join(" "));
     process.exit(require("node:fs").existsSync(${JSON.stringify(tree)} + "/fail-" + word) ? 1 : 0);`,
  );
  write(
    "node_modules/node-gyp/bin/node-gyp.js",
    `const fs = require("node:fs");
     fs.mkdirSync("build/Release", { recursive: true });
     fs.writeFileSync("build/Release/srpo_native.node", "by node-gyp");`,
  );
  write("node_modules/node-api-headers/package.json", '{ "main": "index.js" }');
  write("node_modules/node-api-headers/index.js", "module.exports.include_dir = __dirname;");
  for (const program of ["c++", "cmake", "make", "python3", "nvcc"]) {
    write(`tools/${program}`, "#!/bin/sh\nexit 0\n");
    spawnSync("chmod", ["+x", at("tools", program)]);
  }
});
test.after(() => rmSync(tree, { recursive: true }));

/** The build's end, and what the addon was built by. */
function built(
  failing: readonly string[],
  ...flags: string[]
): { status: number | null; by: string } {
  for (const word of ["configure", "build"]) rmSync(at(`fail-${word}`), { force: true });
  for (const word of failing) write(`fail-${word}`, "");
  write("build/Release/srpo_native.node", "of before");
  const { status } = spawnSync(
    process.execPath,
    [at("bin", "build-native.mjs"), "--force", ...flags],
    {
      cwd: tree,
      encoding: "utf8",
      env: { PATH: at("tools") },
    },
  );
  return { status, by: existsSync(addon) ? readFileSync(addon, "utf8") : "nothing" };
}
const whyNot = () => readFileSync(at("build", "why-not.txt"), "utf8");

test("cmake builds", () => {
  assert.deepEqual(built([]), { status: 0, by: "of before" });
  assert.ok(!existsSync(at("build", "why-not.txt")));
});

test("a compile error is one: nothing else is tried, and what is there stays", () => {
  assert.deepEqual(built(["build"]), { status: 1, by: "of before" });
  assert.match(whyNot(), /cmake-js build/);
  assert.deepEqual(built(["build"], "--soft"), { status: 0, by: "of before" });
  assert.deepEqual(built(["build"], "--cuda"), { status: 1, by: "of before" });
});

test("where cmake cannot configure, node-gyp builds the cpu column", () => {
  assert.deepEqual(built(["configure"]), { status: 0, by: "by node-gyp" });
});

test("what only cmake builds is not replaced by it", () => {
  assert.deepEqual(built(["configure"], "--cuda"), { status: 1, by: "of before" });
  assert.deepEqual(built(["configure"], "--emulated"), { status: 1, by: "of before" });
});

test.run();
