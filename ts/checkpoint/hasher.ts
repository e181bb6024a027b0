import { createHash } from "node:crypto";
import { Worker } from "node:worker_threads";
import type { HashRequest } from "./hash_worker.js";

// What is hashed here, in less than 1 ms: the thread takes 40 to start.
const smallBytes = 1 << 20;
// A piece that the thread is given: copied in 0.1 ms, hashed in less than 1.
const pieceBytes = 1 << 20;

interface Waiting {
  resolve: (answer: string) => void;
  reject: (error: unknown) => void;
}

/** The thread, started when it is first needed; a process that waits for nothing else ends all the same. */
class HashThread {
  readonly #worker = new Worker(new URL("./hash_worker.js", import.meta.url));
  readonly #waiting: Waiting[] = [];

  constructor() {
    this.#worker.unref();
    this.#worker.on("message", (answer: string) => this.#answered((one) => one.resolve(answer)));
    this.#worker.on("error", (error) => {
      while (this.#waiting.length > 0) this.#answered((one) => one.reject(error));
    });
  }

  /** Answers come in the order of the requests. */
  ask(request: HashRequest): Promise<string> {
    this.#worker.ref();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#worker.postMessage(request, []);
    });
  }

  #answered(tell: (one: Waiting) => void): void {
    const one = this.#waiting.shift();
    if (this.#waiting.length === 0) this.#worker.unref();
    if (one !== undefined) tell(one);
  }
}

let thread: HashThread | undefined;
let ids = 0;

/** SHA-256 of bytes as they come. Large ones are hashed on a thread, so that the event loop stays free. */
export class Hasher {
  readonly #id = ++ids;
  /** Where the thread reads a piece: shared, since pieces that are handed over would lie there as garbage. */
  #shared: Uint8Array<SharedArrayBuffer> | undefined;
  #small: Uint8Array[] | undefined = [];
  #smallBytes = 0;

  /** Resolves when the bytes are counted in; they may be changed then, and not before. */
  async update(bytes: Uint8Array): Promise<void> {
    if (this.#small !== undefined) {
      this.#smallBytes += bytes.byteLength;
      if (this.#smallBytes <= smallBytes) {
        this.#small.push(new Uint8Array(bytes));
        return;
      }
      const before = this.#small;
      this.#small = undefined;
      for (const one of before) await this.#give(one);
    }
    await this.#give(bytes);
  }

  async #give(bytes: Uint8Array): Promise<void> {
    thread ??= new HashThread();
    const shared = (this.#shared ??= new Uint8Array(new SharedArrayBuffer(pieceBytes)));
    for (let first = 0; first < bytes.byteLength; first += pieceBytes) {
      const piece = bytes.subarray(first, first + pieceBytes);
      shared.set(piece);
      await thread.ask({ id: this.#id, bytes: shared.subarray(0, piece.byteLength) });
    }
  }

  /** Once, at the end. */
  async digest(): Promise<string> {
    if (this.#small === undefined) return thread!.ask({ id: this.#id });
    const hash = createHash("sha256");
    for (const one of this.#small) hash.update(one);
    return hash.digest("hex");
  }
}
