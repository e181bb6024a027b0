import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";

/**
 * A hash of files and folders by name, size and content, so that a build that has nothing to do can
 * see it at once, also after a clone or an unpacked tarball gave every file a new date.
 */
export function fingerprint(root, names, accept = () => true) {
  const hash = createHash("sha256");
  const visit = (name) => {
    const full = path.join(root, name);
    const stat = statSync(full, { throwIfNoEntry: false });
    if (stat === undefined) return;
    if (stat.isDirectory()) {
      for (const child of readdirSync(full).sort()) visit(path.join(name, child));
    } else if (accept(name)) {
      hash.update(`${name}\0${stat.size}\0`).update(readFileSync(full));
    }
  };
  for (const name of names) visit(name);
  return hash.digest("hex");
}
