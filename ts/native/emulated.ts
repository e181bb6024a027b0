// The emulated device's library: no part of the install, built when it is asked for.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { native } from "./binding.js";
import { SrpoError } from "./error.js";
import { emulatedPath, packageRoot } from "./load.js";

/** Opens the library if it was built for this addon; whether the device is there then. */
export function openEmulated(): boolean {
  if (native.hasDevice("emulated")) return true;
  if (!existsSync(emulatedPath)) return false;
  try {
    native.openEmulated(emulatedPath);
    return true;
  } catch (error) {
    if (error instanceof SrpoError && error.code === "ERR_ADDON") return false;
    throw error;
  }
}

/**
 * Builds the library if it is not there or is older than its sources, saying so, and opens it.
 *
 * @throws SrpoError ERR_ADDON, with what to do
 */
export function buildEmulated(): void {
  if (openEmulated()) return;
  process.stderr.write("srpo-native: building the emulated device, once (a minute) ...\n");
  const script = path.join(packageRoot, "bin", "build-native.mjs");
  spawnSync(process.execPath, [script, "--emulated"], {
    cwd: packageRoot,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (!existsSync(emulatedPath))
    throw new SrpoError(
      "ERR_ADDON",
      `the emulated device is not there: expected ${emulatedPath}; it needs a C++ compiler and cmake`,
    );
  native.openEmulated(emulatedPath);
}
