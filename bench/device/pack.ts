// Packs what a GPU machine without Node, npm or network needs beside a checkout of this tree:
//
//   node dist/bench/device/pack.js [FOLDER] [--node FILE]       FOLDER is .gpu, which git ignores
//
// FOLDER then has bundle.tar.xz (node, the packages that run time and tests need, dist) and device.sh. There:
// `bash .gpu/device.sh --out DIR` unpacks it beside itself and runs dist/bench/device.js.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { chmodSync, lstatSync, statSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { packageRoot } from "../../ts/native/load.js";

/** Bytes that the tree and the bundle may have together. */
export const limit = 60 * 2 ** 20;

// What builds the addon and checks the sources stays behind: plain cmake builds it there.
const roots = [
  "node-addon-api",
  "node-api-headers",
  "tinybench",
  "yaml",
  "yargs",
  "uvu",
  "@huggingface/tokenizers",
];

interface Manifest {
  dependencies?: Record<string, string>;
}

/** The folders of the packages that are packed, below the tree. */
export function packages(root: string): string[] {
  const found = new Set<string>();
  const visit = (name: string, from: string): void => {
    for (let at = from; ; at = path.dirname(at)) {
      const folder = path.join(at, "node_modules", name);
      if (existsSync(path.join(folder, "package.json"))) {
        if (found.has(folder)) return;
        found.add(folder);
        const text = readFileSync(path.join(folder, "package.json"), "utf8");
        for (const next of Object.keys((JSON.parse(text) as Manifest).dependencies ?? {}))
          visit(next, folder);
        return;
      }
      if (at === root || at === path.dirname(at))
        throw new Error(`pack: expected the package ${name} in node_modules, got none`);
    }
  };
  for (const name of roots) visit(name, root);
  return [...found].map((folder) => path.relative(root, folder)).toSorted();
}

/** Bytes of the files of the tree that travel with it: tracked, or neither tracked nor ignored. */
export function treeBytes(root: string): number {
  const args = ["-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const { stdout, status } = spawnSync("git", args, { encoding: "utf8", maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(`pack: expected a git checkout, got ${root}`);
  return [...new Set(stdout.split("\0"))]
    .filter((name) => name !== "" && existsSync(path.join(root, name)))
    .reduce((sum, name) => sum + lstatSync(path.join(root, name)).size, 0);
}

const script = `#!/usr/bin/env bash
# Unpacks node, packages and dist, then runs dist/bench/device.js with what is given.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
rm -rf "$here/unpacked" && mkdir "$here/unpacked"
tar -C "$here/unpacked" -xJf "$here/bundle.tar.xz"
cd "$root"
for tree in node_modules dist; do
  # A folder that is there already is not ours, unless an earlier bundle has put it there.
  if [ -e "$tree" ] && [ ! -e "$tree/.bundle" ]; then
    echo "device: $tree is there: kept" >&2
    continue
  fi
  rm -rf "$tree" && mv "$here/unpacked/$tree" "$tree" && touch "$tree/.bundle"
done
export PATH="$here/unpacked/bin:$PATH"
exec node dist/bench/device.js "$@"
`;

function call(command: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`pack: ${command}: ${error?.message ?? stderr}`);
}

/** Writes the bundle; returns the bytes of the bundle and of the tree. */
export function pack(root: string, folder: string, node: string): { bundle: number; tree: number } {
  const stage = mkdtempSync(path.join(os.tmpdir(), "srpo-pack-"));
  try {
    mkdirSync(path.join(stage, "bin"));
    cpSync(node, path.join(stage, "bin", "node"), { dereference: true });
    chmodSync(path.join(stage, "bin", "node"), 0o755);
    spawnSync("strip", [path.join(stage, "bin", "node")]); // smaller where there is a strip
    const keep = (from: string): boolean => !/\.(?:map|md|markdown|tsbuildinfo)$/.test(from);
    for (const name of packages(root))
      cpSync(path.join(root, name), path.join(stage, name), {
        recursive: true,
        dereference: true,
        filter: (from) => keep(from) && path.basename(from) !== ".bin",
      });
    cpSync(path.join(root, "dist"), path.join(stage, "dist"), {
      recursive: true,
      filter: (from) => keep(from) && !from.endsWith(".d.ts"),
    });
    mkdirSync(folder, { recursive: true });
    const bundle = path.join(folder, "bundle.tar.xz");
    call("tar", ["-C", stage, "-cJf", bundle, "bin", "node_modules", "dist"]);
    writeFileSync(path.join(folder, "device.sh"), script, { mode: 0o755 });
    return { bundle: statSync(bundle).size, tree: treeBytes(root) };
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

function main(): number {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { node: { type: "string", default: process.execPath } },
  });
  const folder = path.resolve(positionals[0] ?? path.join(packageRoot, ".gpu"));
  const { bundle, tree } = pack(packageRoot, folder, values.node);
  const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const line = `${folder}: bundle ${mib(bundle)}, tree ${mib(tree)}, together ${mib(bundle + tree)}`;
  process.stdout.write(`${line}\n`);
  if (bundle + tree <= limit) return 0;
  process.stderr.write(`pack: expected at most ${mib(limit)} together\n`);
  return 1;
}

if (process.argv[1]?.endsWith("pack.js") === true) {
  try {
    process.exitCode = main();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
