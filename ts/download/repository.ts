// The files of a repository that are wanted, one after the other, into a folder.
import * as fs from "node:fs/promises";
import { existsSync, statSync } from "node:fs";
import path from "node:path";
import { makeFolder } from "../checkpoint/durable.js";
import { SrpoError } from "../native/error.js";
import type { Access } from "./access.js";
import { checkedPath } from "./access.js";
import { downloadFile, isThere, type Patience } from "./file.js";
import type { RemoteFile } from "./hub.js";

export interface RepositoryRequest {
  repository: string;
  revision: string;
  files: readonly RemoteFile[];
  out: string;
  patience: Patience;
  signal: AbortSignal;
  /** Told the bytes of all files that are there, and what is on its way. */
  onBytes?: (bytes: number, file: string) => void;
}

/** A pattern of names: `*` within a folder, `**` across folders. */
function matcher(pattern: string): RegExp {
  const form = pattern
    .replaceAll(/[.+^${}()|[\]\\?]/g, String.raw`\$&`)
    .replaceAll(/\*\*\/?|\*/g, (stars) => (stars === "*" ? "[^/]*" : ".*"));
  return new RegExp(`^${form}$`);
}

/**
 * The files that `include` names and `exclude` does not.
 *
 * @throws SrpoError ERR_CONFIG where nothing is left
 */
export function wantedFiles(
  files: readonly RemoteFile[],
  {
    include,
    exclude,
  }: { include?: readonly string[] | undefined; exclude?: readonly string[] | undefined },
): RemoteFile[] {
  const some = (patterns: readonly string[]) => {
    const forms = patterns.map(matcher);
    return (file: RemoteFile) => forms.some((form) => form.test(file.path));
  };
  const isIn = include === undefined ? () => true : some(include);
  const isOut = exclude === undefined ? () => false : some(exclude);
  const wanted = files.filter((file) => isIn(file) && !isOut(file));
  if (wanted.length === 0)
    throw new SrpoError(
      "ERR_CONFIG",
      `include: expected patterns of some of ${files.length} files (${files
        .slice(0, 4)
        .map((file) => file.path)
        .join(", ")}, ...), got none of them`,
    );
  return wanted;
}

/** Bytes of a file that are here: whole, or a part. */
function bytesHere(place: string): number {
  const of = (file: string) => (existsSync(file) ? statSync(file).size : 0);
  return Math.max(of(place), of(`${place}.part`));
}

/** @throws SrpoError ERR_DOWNLOAD where the disk has less room than what is to come takes */
async function requireRoom({ out, files }: RepositoryRequest): Promise<void> {
  const left = files.reduce(
    (sum, { path: name, size = 0 }) => sum + Math.max(0, size - bytesHere(path.join(out, name))),
    0,
  );
  const { bavail, bsize } = await fs.statfs(out);
  const room = bavail * bsize;
  const gb = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  if (left > room)
    throw new SrpoError(
      "ERR_DOWNLOAD",
      `${out}: expected ${gb(left)} of room for what is still to come, got ${gb(room)}; free some, or name another --out`,
    );
}

/**
 * Downloads files that are not there yet; each comes under its own name when it is whole and checked.
 *
 * @throws SrpoError ERR_DOWNLOAD, ERR_CHECKPOINT
 */
export async function downloadRepository(
  access: Access,
  request: RepositoryRequest,
): Promise<void> {
  const { repository, out, patience, signal, onBytes } = request;
  await makeFolder(path.resolve(out));
  await requireRoom(request);
  let { revision } = request;
  let before = 0;
  for (const remote of request.files) {
    signal.throwIfAborted();
    const name = checkedPath(remote.path);
    const place = path.join(path.resolve(out), ...name.split("/"));
    onBytes?.(before, name);
    // Without a checksum a file of that name may be anything.
    const known = remote.sha256 !== undefined || remote.gitSha1 !== undefined;
    if (!known || !(await isThere(place, remote))) {
      const segments = [...repository.split("/"), "resolve", revision, ...name.split("/")];
      const url = `${access.endpoint}/${segments.map(encodeURIComponent).join("/")}`;
      const { commit } = await downloadFile(access, {
        url,
        repository,
        remote,
        place,
        patience,
        signal,
        onBytes: (bytes) => onBytes?.(before + bytes, name),
      });
      // All files of one state of the repository, though a branch may move meanwhile.
      if (commit !== undefined && /^[0-9a-f]{40}$/.test(commit)) revision = commit;
    }
    before += statSync(place).size;
  }
  onBytes?.(before, "");
}
