// A repository's files, listed by the hub's own package where it is installed.
import { SrpoError } from "../native/error.js";
import { checkedPath, type Access } from "./access.js";
import { refused } from "./request.js";

export interface RemoteFile {
  path: string;
  /** Bytes; undefined where nobody has said. */
  size: number | undefined;
  /** Hexadecimal: SHA-256 of a large file, or git's SHA-1 of a small one. */
  sha256?: string | undefined;
  gitSha1?: string | undefined;
}

/** What of `@huggingface/hub` is used. */
interface HubPackage {
  listFiles(options: {
    repo: { type: "model"; name: string };
    revision: string;
    recursive: true;
    hubUrl: string;
    accessToken?: string;
  }): AsyncIterable<{
    type: string;
    path: string;
    size: number;
    oid?: string;
    lfs?: { oid: string; size: number };
  }>;
}

const packageName = "@huggingface/hub";

/**
 * Every file of a repository at a revision.
 *
 * @param load - how the package is found
 * @throws SrpoError ERR_DOWNLOAD where it is not installed, or a listing is not to be trusted
 */
export async function listRepository(
  access: Access,
  { repository, revision }: { repository: string; revision: string },
  load: (name: string) => Promise<unknown> = (name) => import(name),
): Promise<RemoteFile[]> {
  const hub = (await load(packageName).catch(() => undefined)) as HubPackage | undefined;
  if (hub === undefined)
    throw new SrpoError(
      "ERR_DOWNLOAD",
      `download: expected the package ${packageName} to list ${repository} with, got none: ` +
        `npm install ${packageName}, or name files by --file`,
    );
  const { endpoint, token } = access;
  const files: RemoteFile[] = [];
  const listing = hub.listFiles({
    repo: { type: "model", name: repository },
    revision,
    recursive: true,
    hubUrl: endpoint,
    ...(token === undefined ? {} : { accessToken: token }),
  });
  for await (const { type, path, size, oid, lfs } of understood(listing, access, repository)) {
    if (type !== "file") continue;
    const bytes = lfs?.size ?? size;
    if (!Number.isSafeInteger(bytes) || bytes < 0)
      throw new SrpoError(
        "ERR_DOWNLOAD",
        `${repository}: ${path}: expected a size in bytes, got ${String(bytes)}`,
      );
    const sha256 = lfs?.oid.replace(/^sha256:/, "");
    files.push({
      path: checkedPath(path),
      size: bytes,
      ...(sha256 === undefined ? { gitSha1: oid } : { sha256 }),
    });
  }
  return files;
}

/** The package's errors as ours. */
async function* understood<T>(
  listing: AsyncIterable<T>,
  access: Access,
  repository: string,
): AsyncGenerator<T> {
  try {
    yield* listing;
  } catch (error) {
    const { statusCode } = error as { statusCode?: unknown };
    if (typeof statusCode === "number")
      throw refused(statusCode, { url: `${access.endpoint}/${repository}`, repository }, access);
    const got = error instanceof Error ? error.message : String(error);
    throw new SrpoError("ERR_DOWNLOAD", `${repository}: expected a list of its files, got ${got}`, {
      cause: error,
    });
  }
}
