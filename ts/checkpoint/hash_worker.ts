// SHA-256 on a thread of its own: answers each message when its bytes are counted in, or with the digest.
import { createHash, type Hash } from "node:crypto";
import { parentPort } from "node:worker_threads";

/** `bytes` of the hash `id`; without, its digest is wanted. */
export interface HashRequest {
  readonly id: number;
  readonly bytes?: Uint8Array<SharedArrayBuffer>;
}

const hashes = new Map<number, Hash>();

parentPort!.on("message", ({ id, bytes }: HashRequest) => {
  const hash = hashes.get(id) ?? createHash("sha256");
  if (bytes === undefined) {
    hashes.delete(id);
    parentPort!.postMessage(hash.digest("hex"), []);
    return;
  }
  hashes.set(id, hash.update(bytes));
  parentPort!.postMessage("", []);
});
