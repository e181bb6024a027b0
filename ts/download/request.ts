// One ranged GET: redirects followed by hand, so that the token stays with the endpoint's host.
import { SrpoError } from "../native/error.js";
import type { Access } from "./access.js";

const mostRedirects = 8;

/** What asking again may mend: a cut or stalled connection, a server that is busy. */
export class Passing extends Error {
  /** As long as the server asked to be left alone. */
  readonly afterMs: number | undefined;
  /** Whether what has come so far may be wrong, and goes. */
  readonly anew: boolean;

  constructor(
    message: string,
    { afterMs, anew = false }: { afterMs?: number | undefined; anew?: boolean } = {},
  ) {
    super(message);
    this.afterMs = afterMs;
    this.anew = anew;
  }
}

export interface Answer {
  status: 200 | 206 | 416;
  body: AsyncIterable<Uint8Array>;
  /** Of the whole file, as far as the answer says. */
  size: number | undefined;
  /** Where the body begins. */
  from: number;
  /** What tells this content from another: an ETag, without quotes. */
  etag: string | undefined;
  /** The commit that a revision stands for. */
  commit: string | undefined;
  /** Gives the connection back. */
  close(): void;
}

export interface Asked {
  url: string;
  repository: string;
  /** First byte. */
  from: number;
  /** Without a byte for so long, the connection is given up. */
  stallMs: number;
  signal: AbortSignal;
}

/** Why a server's status means that asking again does not help, and what to do. */
export function refused(
  status: number,
  { url, repository }: Pick<Asked, "url" | "repository">,
  { endpoint, token }: Access,
): SrpoError {
  const page = `${endpoint}/${repository}`;
  const withToken = token === undefined ? "no token was given" : "a token was given";
  switch (status) {
    case 401:
    case 403:
      return new SrpoError(
        "ERR_DOWNLOAD",
        `${repository}: expected access, got ${status} (${withToken}); the repository is gated or private: accept its licence ` +
          `at ${page}, make a token with read access at ${endpoint}/settings/tokens and give it by HF_TOKEN or --token-file`,
      );
    case 404:
      return new SrpoError(
        "ERR_DOWNLOAD",
        `${url}: expected a file, got 404: no such repository, revision or file (or one that your token may not see)`,
      );
    default:
      return new SrpoError("ERR_DOWNLOAD", `${url}: expected the file, got status ${status}`);
  }
}

function retryAfter(headers: Headers): number | undefined {
  const seconds = Number(headers.get("retry-after") ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds, 300) * 1000 : undefined;
}

const plainTag = (tag: string | null) => tag?.replace(/^W\//, "").replaceAll('"', "") ?? undefined;
const digits = (text: string | null | undefined) =>
  text !== null && text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;

/** Where a 206 begins and how large the whole is. */
function rangeOf(headers: Headers): { from: number; size: number | undefined } | undefined {
  const match = /^bytes (\d{1,15})-\d{1,15}\/(\d{1,15}|\*)$/.exec(
    headers.get("content-range") ?? "",
  );
  return match === null ? undefined : { from: Number(match[1]), size: digits(match[2]) };
}

/**
 * Asks for a file from a byte on.
 *
 * @throws Passing where asking again may help, SrpoError ERR_DOWNLOAD where not
 */
export async function ask(access: Access, asked: Asked): Promise<Answer> {
  const controller = new AbortController();
  const stop = () => controller.abort(asked.signal.reason);
  asked.signal.addEventListener("abort", stop, { once: true });
  let stalled = false;
  const stall = () => {
    stalled = true;
    controller.abort();
  };
  let timer = setTimeout(stall, asked.stallMs);
  const close = () => {
    clearTimeout(timer);
    asked.signal.removeEventListener("abort", stop);
    controller.abort();
  };
  const failed = (error: unknown): Error => {
    close();
    if (asked.signal.aborted) return asked.signal.reason as Error;
    if (error instanceof SrpoError || error instanceof Passing) return error;
    if (stalled) return new Passing(`no byte for ${asked.stallMs / 1000} s`);
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return new Passing(cause instanceof Error ? cause.message : String(cause));
  };
  try {
    const home = new URL(access.endpoint);
    let url = new URL(asked.url);
    let etag: string | undefined;
    let commit: string | undefined;
    for (let hop = 0; ; ++hop) {
      if (hop > mostRedirects)
        throw new SrpoError(
          "ERR_DOWNLOAD",
          `${asked.url}: expected the file, got redirected ${hop} times`,
        );
      const headers: Record<string, string> = { "accept-encoding": "identity" };
      if (asked.from > 0) headers["range"] = `bytes=${asked.from}-`;
      if (access.token !== undefined && url.origin === home.origin)
        headers["authorization"] = `Bearer ${access.token}`;
      const response = await fetch(url.href, {
        headers,
        redirect: "manual",
        signal: controller.signal,
      });
      // The endpoint's own words on a large file stand in the answer that redirects to its store.
      etag ??= plainTag(response.headers.get("x-linked-etag"));
      commit ??= response.headers.get("x-repo-commit") ?? undefined;
      const { status } = response;
      if (status >= 300 && status < 400) {
        const to = response.headers.get("location");
        await response.body?.cancel();
        if (to === null || !URL.canParse(to, url.href))
          throw new SrpoError(
            "ERR_DOWNLOAD",
            `${url.href}: expected a place to go on at, got none`,
          );
        const next = new URL(to, url);
        if (next.protocol !== "https:" && !(next.protocol === "http:" && url.protocol === "http:"))
          throw new SrpoError(
            "ERR_DOWNLOAD",
            `${url.href}: expected to be sent on by https, got ${next.protocol}//${next.host}`,
          );
        url = next;
        continue;
      }
      if (status === 408 || status === 429 || status >= 500)
        throw new Passing(`status ${status}`, { afterMs: retryAfter(response.headers) });
      if (status !== 200 && status !== 206 && status !== 416) throw refused(status, asked, access);
      const range = status === 206 ? rangeOf(response.headers) : undefined;
      if (status === 206 && range === undefined) throw new Passing("a part without saying which");
      const size =
        range?.size ??
        (status === 200 ? digits(response.headers.get("content-length")) : undefined);
      const body = response.body;
      const chunks = async function* () {
        try {
          if (body !== null)
            for await (const chunk of body) {
              clearTimeout(timer);
              yield chunk as Uint8Array;
              timer = setTimeout(stall, asked.stallMs);
            }
        } catch (error) {
          throw failed(error);
        } finally {
          close();
        }
      };
      return {
        status,
        body: chunks(),
        size,
        from: range?.from ?? 0,
        etag: etag ?? plainTag(response.headers.get("etag")),
        commit,
        close,
      };
    }
  } catch (error) {
    throw failed(error);
  }
}
