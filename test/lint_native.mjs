// Layout and walls of the native rooms: clang-format on C++ and CUDA, and what style.md forbids by room.
//
//   node test/lint_native.mjs [--fix]
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { packageRoot } from "../bin/package_root.mjs";

const root = packageRoot();
const require = createRequire(import.meta.url);
const fix = process.argv.includes("--fix");

const files = ["cpp", "cuda"].flatMap((room) =>
  readdirSync(path.join(root, room), { recursive: true })
    .map((name) => path.join(room, String(name)))
    .filter((name) => /\.(h|cpp|cu|cuh)$/.test(name)),
);

const problems = [];
const format = spawnSync(
  process.execPath,
  [
    require.resolve("clang-format-node/build/cli.js"),
    ...(fix ? ["-i"] : ["--dry-run", "-Werror"]),
    ...files,
  ],
  { cwd: root, encoding: "utf8" },
);
if (format.status !== 0) problems.push(`clang-format:\n${format.stderr ?? format.error}`);

const listed = new Set(
  readFileSync(path.join(root, "cpp/sources.txt"), "utf8").split("\n").filter(Boolean),
);
for (const file of files) {
  const text = readFileSync(path.join(root, file), "utf8");
  const forbid = (pattern, why) => {
    if (pattern.test(text)) problems.push(`${file}: ${why}`);
  };
  if (!file.startsWith("cpp/binding")) forbid(/napi\.h/, "napi.h belongs to cpp/binding alone");
  if (file.startsWith("cpp/") && !file.startsWith("cpp/comm"))
    forbid(/#include <cuda/, "no CUDA header in cpp/");
  if (file.startsWith("cpp/ops/")) forbid(/#include "cpp\/cpu/, "cpp/ops says what, not how");
  if (/#include "cpp\/cpu\/target_/.test(text)) {
    // Inline library code built for one instruction set would be linked into everyone's path.
    forbid(
      /#include <(?!immintrin\.h|cstdint|cstring)/,
      "a target file includes <immintrin.h> only",
    );
  }
  if (file.endsWith(".cpp") && file.startsWith("cpp/") && !listed.has(file))
    problems.push(`${file}: not in cpp/sources.txt`);
}
for (const file of listed)
  if (!files.includes(file)) problems.push(`cpp/sources.txt: ${file} is not there`);

for (const problem of problems) console.error(problem);
process.exit(problems.length > 0 ? 1 : 0);
