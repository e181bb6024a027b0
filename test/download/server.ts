// A local server of files that can be told to cut, lie, stall, send elsewhere and refuse.
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Served {
  origin: string;
  /** Of every request, in order. */
  seen: { url: string; range: string | undefined; authorization: string | undefined }[];
  close(): Promise<void>;
}

export type Handler = (
  request: IncomingMessage,
  response: ServerResponse,
  /** How many requests came before. */
  before: number,
) => void;

export async function serve(handler: Handler): Promise<Served> {
  const seen: Served["seen"] = [];
  const server = createServer((request, response) => {
    const { url = "", headers } = request;
    seen.push({ url, range: headers.range, authorization: headers.authorization });
    handler(request, response, seen.length - 1);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** Bytes that no compression makes small, which a seed tells. */
export function content(bytes: number, seed = 1): Buffer {
  const buffer = Buffer.alloc(bytes);
  for (let i = 0, x = seed; i < bytes; ++i) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    buffer[i] = x >>> 24;
  }
  return buffer;
}

export const sha256 = (data: Buffer) => createHash("sha256").update(data).digest("hex");
export const gitSha1 = (data: Buffer) =>
  createHash("sha1").update(`blob ${data.length}\0`).update(data).digest("hex");

/** Where a request wants its bytes from. */
export function fromOf({ headers }: IncomingMessage): number {
  return Number(/^bytes=(\d+)-$/.exec(headers.range ?? "")?.[1] ?? 0);
}

export interface Sending {
  /** Bytes after which the connection is cut. */
  cutAfter?: number;
  /** Bytes after which nothing comes any more, the connection open. */
  stallAfter?: number;
  /** Whether ranges are overheard. */
  ignoresRange?: boolean;
  headers?: Record<string, string>;
}

/** Answers as a good server does, but for what it is told. */
export function send(
  request: IncomingMessage,
  response: ServerResponse,
  data: Buffer,
  { cutAfter, stallAfter, ignoresRange = false, headers = {} }: Sending = {},
): void {
  const from = ignoresRange ? 0 : fromOf(request);
  if (from >= data.length && data.length > 0) {
    response.writeHead(416, { "content-range": `bytes */${data.length}` }).end();
    return;
  }
  const body = data.subarray(from);
  const range = { "content-range": `bytes ${from}-${data.length - 1}/${data.length}` };
  response.writeHead(from > 0 ? 206 : 200, {
    "content-length": String(body.length),
    ...(from > 0 ? range : {}),
    ...headers,
  });
  const most = cutAfter ?? stallAfter;
  if (most === undefined || most >= body.length) {
    response.end(body);
    return;
  }
  response.write(body.subarray(0, most), () => {
    // Later than the reader needs to take what came: a cut drops what it has not taken.
    if (cutAfter !== undefined) setTimeout(() => response.destroy(), 120);
  });
}
