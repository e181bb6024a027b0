// What ptxas says of every kernel, held against cuda/resources.json: registers, stack, spills, shared memory.
// Fails on a spill, on local memory, on a remark C75xx (setmaxnreg ignored, wgmma serialised), on a kernel
// that takes other resources than the table says. Sources that are not in it yet are named. Needs nvcc.
//
//   node test/kernel_resources.mjs [--write] [part of a path]
//   node test/kernel_resources.mjs [--write] --logs BUILD   what a build with -DSRPO_CUDA=ON
//                                                           -DSRPO_KERNEL_LOGS=ON has left there
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { packageRoot } from "../bin/package_root.mjs";

const root = packageRoot();
const table = path.join(root, "cuda", "resources.json");
const writes = process.argv.includes("--write");
const words = process.argv.slice(2);
const logsAt = words.indexOf("--logs");
const logs = logsAt < 0 ? undefined : words[logsAt + 1];
const part = words.find((word, i) => !word.startsWith("-") && words[i - 1] !== "--logs") ?? "";
const flags = [
  "-std=c++20",
  "-O3",
  "-I.",
  "-gencode=arch=compute_90a,code=sm_90a",
  "-Xptxas",
  "-v,-warn-spills,-warn-lmem-usage",
  "-c",
];

const sources = readFileSync(path.join(root, "cuda/sources.txt"), "utf8")
  .split("\n")
  .filter((name) => name !== "" && name.includes(part));
const known = existsSync(table) ? JSON.parse(readFileSync(table, "utf8")) : {};
const out = mkdtempSync(path.join(os.tmpdir(), "srpo-resources-"));
const problems = [];
const missing = []; // sources that nobody has entered yet
const found = {};

/** "srpo::cuda::add_forward_kernel<float, float>" of a mangled name, without its parameters. */
function plainNames(mangled) {
  if (mangled.length === 0) return [];
  const { stdout } = spawnSync("c++filt", [], { input: mangled.join("\n"), encoding: "utf8" });
  return stdout
    .trimEnd()
    .split("\n")
    .map((name) =>
      name
        .replaceAll("(anonymous namespace)::", "")
        .replace(/^void /, "")
        .replaceAll("srpo::cuda::", "")
        .replaceAll("srpo::", "")
        .replace(/\([^()]*(?:\([^()]*\)[^()]*)*\)$/, ""),
    );
}

/** What ptxas says of a source; undefined, and a problem, if it does not compile or was not built. */
function wordsOf(source) {
  if (logs !== undefined) {
    const file = path.join(logs, "CMakeFiles/srpo_native.dir", `${source}.o.log`);
    if (existsSync(file)) return readFileSync(file, "utf8");
    problems.push(`${source}: expected ${file}, got none`);
    return undefined;
  }
  const object = path.join(out, "kernel.o");
  const { status, stdout, stderr } = spawnSync("nvcc", [...flags, source, "-o", object], {
    cwd: root,
    encoding: "utf8",
  });
  const said = `${stdout ?? ""}${stderr ?? ""}`;
  if (status === 0) return said;
  problems.push(`${source}: nvcc failed\n${said.slice(-3000)}`);
  return undefined;
}

for (const source of sources) {
  const said = wordsOf(source);
  if (said === undefined) continue;
  for (const [line] of said.matchAll(/^(?:ptxas.*(?:\(C75\d\d\)|warning)|.*warning #\d).*$/gm))
    problems.push(`${source}: ${line.trim()}`);
  const kernels = [
    ...said.matchAll(
      /Function properties for (\S+)\s+(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads\s+ptxas info\s+: Used (\d+) registers([^\n]*)/g,
    ),
  ];
  const names = plainNames(kernels.map(([, name]) => name));
  found[source] = {};
  kernels.forEach(([, , stack, stores, loads, registers, rest], i) => {
    const shared = Number(/(\d+) bytes smem/.exec(rest)?.[1] ?? 0);
    found[source][names[i]] = {
      registers: Number(registers),
      stack: Number(stack),
      spills: Number(stores) + Number(loads),
      shared,
    };
    if (Number(stack) + Number(stores) + Number(loads) > 0)
      problems.push(
        `${source}: ${names[i]}: ${stack} bytes of stack, ${stores} + ${loads} spilled`,
      );
  });
  console.error(`${source}: ${kernels.length} kernels`);
}
rmSync(out, { recursive: true });

const sorted = (object) =>
  Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
if (writes) {
  const all = part === "" ? found : { ...known, ...found };
  const rows = Object.entries(sorted(all)).map(([source, kernels]) => [source, sorted(kernels)]);
  writeFileSync(table, `${JSON.stringify(Object.fromEntries(rows), null, 2)}\n`);
} else {
  for (const source of Object.keys(found))
    if (known[source] === undefined) missing.push(source);
    else if (JSON.stringify(sorted(found[source])) !== JSON.stringify(sorted(known[source])))
      problems.push(`${source}: other resources than in cuda/resources.json; --write renews it`);
}
for (const problem of problems) console.error(problem);
if (missing.length > 0) console.log(`not in cuda/resources.json yet: ${missing.join(", ")}`);
console.log(`${Object.keys(found).length} sources, ${problems.length} problems`);
process.exit(problems.length > 0 ? 1 : 0);
