// What the README says a reader can type, typed.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "uvu";
import { packageRoot } from "../ts/native/load.js";

const readme = readFileSync(path.join(packageRoot, "README.md"), "utf8");

function run(folder: string, program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    cwd: folder,
    encoding: "utf8",
  });
  assert.equal(status, 0, `${program} ${args.join(" ")}\n${stdout}${stderr}`);
  return stdout;
}

test("the library's example compiles and runs", () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-readme-"));
  try {
    const [, example] = /```ts\n([\s\S]*?)```/.exec(readme)!;
    mkdirSync(path.join(folder, "node_modules", "@types"), { recursive: true });
    symlinkSync(packageRoot, path.join(folder, "node_modules", "srpo-native"));
    const types = path.join(packageRoot, "node_modules", "@types", "node");
    symlinkSync(types, path.join(folder, "node_modules", "@types", "node"));
    writeFileSync(path.join(folder, "package.json"), '{ "type": "module" }');
    writeFileSync(path.join(folder, "example.ts"), example!);
    const options = JSON.parse(readFileSync(path.join(packageRoot, "tsconfig.json"), "utf8")) as {
      compilerOptions: Record<string, unknown>;
    };
    const compilerOptions = { ...options.compilerOptions, rootDir: ".", outDir: "." };
    const config = JSON.stringify({ compilerOptions, files: ["example.ts"] });
    writeFileSync(path.join(folder, "tsconfig.json"), config);
    run(folder, path.join(packageRoot, "bin", "srpo-native.js"), "init", "micro", "micro");
    run(folder, path.join(packageRoot, "node_modules", "typescript", "bin", "tsc"), "-p", folder);
    const output = run(folder, path.join(folder, "example.js"));
    assert.match(output, /parameters in one flat buffer/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("every command of the README is there, and every command is in the README", async () => {
  const { commands } = await import("../ts/cli/commands.js");
  const named = new Set([...readme.matchAll(/^\| `([a-z]+)[^|]*` +\|/gm)].map(([, name]) => name));
  for (const { name } of commands) assert.ok(named.has(name), `README does not name ${name}`);
});

test("every file that the README points to is there", () => {
  for (const [, link] of readme.matchAll(/\]\(([^)#:]+)\)/g))
    readFileSync(path.join(packageRoot, link!));
});

test.run();
