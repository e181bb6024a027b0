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

const files = ["cpp", "cuda", "test/cuda"].flatMap((room) =>
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
  ["cpp/sources.txt", "cuda/sources.txt"].flatMap((list) =>
    readFileSync(path.join(root, list), "utf8").split("\n").filter(Boolean),
  ),
);
// What only cuda/common may say: everything else goes through its wrappers, so that it can be emulated.
const hardware = [
  [/\basm\b/, "no PTX outside cuda/common"],
  [/__shared__/, "shared memory comes from cuda/common/shared.cuh"],
  [/<<</, "a kernel is started by launch()"],
  [/__CUDA_ARCH__|__CUDACC__|__NVCC__/, "which compiler reads a kernel is cuda/common's concern"],
  [
    /\b(?!__(?:global|device|host|restrict|forceinline|launch_bounds|grid_constant)__)__[a-z]\w*\(/,
    "no intrinsics outside cuda/common",
  ],
  [/#include <(?:cuda|mma|cooperative_groups)/, "no CUDA header outside cuda/common"],
  [
    /__restrict__/,
    "no __restrict__: what is known not to change may be read before wait_for_earlier_kernel()",
  ],
  [/\batomic(?:Add|Max|Min|Exch|CAS|Or|And)\b/, "atomics come from cuda/common/atomic.cuh"],
];
/** A source without its comments. */
const code = (text) => text.replace(/\/\/.*|\/\*[^]*?\*\//g, "");

// Kernels that set up their barriers before they wait for the kernel before; all others wait first.
const setsUpFirst = new Set([
  "attention_backward_sm90_kernel",
  "attention_forward_sm90_kernel",
  "conv2d_sm90_kernel",
  "conv2d_weight_sm90_kernel",
  "gemm_sm90_kernel",
]);
/** The kernels of a source that do not wait where they should. */
function unawaited(text) {
  const found = [];
  for (const { 1: name, index } of text.matchAll(
    /__global__[\s\w:<>]*?(?:__launch_bounds__\([^)]*\)\s*)?(\w+_kernel)\(/g,
  )) {
    const rest = text.slice(index);
    const end = rest.search(/\n}/);
    const body = rest.slice(rest.indexOf(") {\n") + 4, end);
    const waits = setsUpFirst.has(name)
      ? body.includes("  wait_for_earlier_kernel();")
      : body.trimStart().startsWith("wait_for_earlier_kernel();");
    if (!waits) found.push(name);
  }
  // One that the pattern above does not read is none that waits.
  if (
    [...text.matchAll(/__global__/g)].length >
    [...text.matchAll(/__global__[^;{]*?\w+_kernel\(/g)].length
  )
    found.push("a kernel whose name does not end in _kernel");
  return found;
}
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
  if (/^cuda\/(?!common\/|emulation\/|runtime\/)/.test(file)) {
    for (const [pattern, why] of hardware)
      if (pattern.test(code(text))) problems.push(`${file}: ${why}`);
    for (const kernel of unawaited(code(text)))
      problems.push(`${file}: ${kernel}: its first statement is wait_for_earlier_kernel()`);
  }
  // srpo_mpi.node has its one source.
  if (/^cpp\/(?!comm\/mpi\/).*\.cpp$|^cuda\/(?!runtime\/).*\.cu$/.test(file) && !listed.has(file))
    problems.push(`${file}: not in ${file.split("/")[0]}/sources.txt`);
}
for (const file of listed)
  if (!files.includes(file)) problems.push(`sources.txt: ${file} is not there`);

for (const problem of problems) console.error(problem);
process.exit(problems.length > 0 ? 1 : 0);
