import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { packageRoot } from "./load.js";

/** The commit of a checkout, with "-dirty" where it was changed; "unknown" for an installed package. */
export function commitOf(): string {
  const found = spawnSync(
    "git",
    ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
    { cwd: packageRoot, encoding: "utf8" },
  );
  // A package installed within another project is not of that project's commit.
  const own = existsSync(path.join(packageRoot, ".git"));
  return own && found.status === 0 ? found.stdout.trim() : "unknown";
}
