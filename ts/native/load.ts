import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Binding } from "./binding.js";
import { SrpoError } from "./error.js";

/** The folder of this package's package.json. */
export const packageRoot: string = (() => {
  let folder = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(folder, "package.json"))) {
    const parent = path.dirname(folder);
    if (parent === folder) throw new SrpoError("ERR_ADDON", "no package.json above the code");
    folder = parent;
  }
  return folder;
})();

/** This package's version. */
export const packageVersion: string = (
  JSON.parse(readFileSync(path.join(packageRoot, "package.json"), "utf8")) as { version: string }
).version;

/**
 * Where the build puts the addon. For development, SRPO_ADDON names another build of it: one with
 * sanitizers (`cmake -S . -B build-asan -DSRPO_SANITIZE=ON && cmake --build build-asan`, then
 * `SRPO_ADDON=build-asan/srpo_native.node LD_PRELOAD=$(g++ -print-file-name=libasan.so)
 * ASAN_OPTIONS=detect_leaks=0 node test/run.mjs ops/`).
 */
export const addonPath: string = path.resolve(
  process.env["SRPO_ADDON"] ?? path.join(packageRoot, "build", "Release", "srpo_native.node"),
);

/** The emulated device's library, built beside the addon by `npm run build:emulated`. */
export const emulatedPath: string = path.join(path.dirname(addonPath), "srpo_emulated.so");

function whyNot(): string {
  const file = path.join(packageRoot, "build", "why-not.txt");
  return existsSync(file) ? `\n${readFileSync(file, "utf8").slice(-2000)}` : "";
}

/**
 * Loads the addon, building it first where the install could not (npm without scripts).
 *
 * @throws SrpoError ERR_ADDON, with what was tried and what to do next
 */
export function loadBinding(): Binding {
  if (!existsSync(addonPath)) {
    process.stderr.write("srpo-native: building the native addon, once ...\n");
    const script = path.join(packageRoot, "bin", "build-native.mjs");
    spawnSync(process.execPath, [script, "--soft"], { cwd: packageRoot, stdio: "inherit" });
  }
  if (!existsSync(addonPath))
    throw new SrpoError(
      "ERR_ADDON",
      `the native addon is not there: expected ${addonPath}. Install a C++ compiler and cmake, or ` +
        `make and python3 (on Debian: apt-get install g++ make python3), then run ` +
        `"npx srpo-native doctor"${whyNot()}`,
    );
  try {
    const binding = createRequire(import.meta.url)(addonPath) as Binding;
    binding.setErrorClass(SrpoError);
    return binding;
  } catch (error) {
    throw new SrpoError(
      "ERR_ADDON",
      `the native addon does not load: ${error instanceof Error ? error.message : String(error)}. ` +
        `Remove ${path.join(packageRoot, "build")} and run "npm run build:native" there`,
      { cause: error },
    );
  }
}
