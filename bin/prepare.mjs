// What `npm install`, `npm run build` and `npm test` call to compile the TypeScript: at once if nothing
// changed, not at all where the compiler is not installed (a package from the registry brings dist/).
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fingerprint } from "./fingerprint.mjs";
import { packageRoot } from "./package_root.mjs";

const root = packageRoot();
const dist = path.join(root, "dist");
const stamp = path.join(dist, ".stamp");

function compiler() {
  try {
    const require = createRequire(import.meta.url);
    const manifest = require.resolve("typescript/package.json");
    return path.join(path.dirname(manifest), JSON.parse(readFileSync(manifest, "utf8")).bin.tsc);
  } catch {
    return undefined;
  }
}

const tsc = compiler();
if (tsc === undefined || !existsSync(path.join(root, "tsconfig.json"))) process.exit(0);

const now = fingerprint(
  root,
  ["ts", "test", "bench", "tsconfig.json"],
  (name) => /\.(ts|json)$/.test(name) && !name.includes("golden") && !name.includes("results"),
);
if (existsSync(stamp) && readFileSync(stamp, "utf8") === now) process.exit(0);

rmSync(dist, { recursive: true, force: true });
const { status } = spawnSync(process.execPath, [tsc, "-p", root], { stdio: "inherit" });
if (status !== 0) process.exit(status ?? 1);
mkdirSync(dist, { recursive: true });
writeFileSync(stamp, now);
