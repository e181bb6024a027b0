#!/usr/bin/env node
// The door: the commands are in ts/cli.
import { existsSync } from "node:fs";
import path from "node:path";
import { packageRoot } from "./package_root.mjs";

const main = path.join(packageRoot(), "dist", "ts", "cli", "main.js");
if (!existsSync(main)) {
  // A clone whose install ran without scripts.
  await import("./prepare.mjs");
}
const { run } = await import(main);
process.exitCode = await run(process.argv.slice(2));
