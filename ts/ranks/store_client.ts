import { connect, type Socket } from "node:net";
import { codeOf, SrpoError } from "../native/error.js";
import { readMessages, sendMessage, type Message } from "./lines.js";
import { noticeCutOff } from "./sockets.js";

export interface StorePlace {
  readonly host: string;
  readonly port: number;
  readonly token: string;
  readonly rank: number;
  /** This machine's name, for the others. */
  readonly name: string;
}

export interface ClientEvents {
  /** What the store says that answers no request. */
  said?(message: Message): void;
  gone?(why: string): void;
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A rank's connection to the store in rank 0. */
export class StoreClient {
  readonly #socket: Socket;
  readonly #requests = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: Error) => void }
  >();
  #lastId = 0;
  #why: string | undefined;
  events: ClientEvents = {};

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  /**
   * Connects, again and again until it is let in or the time is over.
   *
   * @throws SrpoError ERR_RANKS: host, port, rank, how long it was tried and what came last
   */
  static async connect(place: StorePlace, timeoutMs: number): Promise<StoreClient> {
    const started = performance.now();
    let last = "no answer";
    for (let tries = 0; ; ++tries) {
      const left = timeoutMs - (performance.now() - started);
      if (left <= 0) break;
      try {
        return await StoreClient.#try(place, Math.min(left, 10_000));
      } catch (error) {
        last = (error as Error).message;
        if (error instanceof SrpoError) break; // it answered: no
      }
      await sleep(Math.min(50 * 2 ** Math.min(tries, 5), 1000, left));
    }
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    throw new SrpoError(
      "ERR_RANKS",
      `store: rank ${place.rank} on ${place.name} was not let in by rank 0 at ` +
        `${place.host}:${place.port} within ${seconds} s: ${last}`,
    );
  }

  static #try(place: StorePlace, timeoutMs: number): Promise<StoreClient> {
    const { host, port, token, rank, name } = place;
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port });
      const client = new StoreClient(socket);
      const late = setTimeout(() => socket.destroy(new Error("no answer")), timeoutMs);
      let admitted = false;
      let why = "the connection was closed";
      socket.once("connect", () => {
        noticeCutOff(socket);
        sendMessage(socket, { token, rank, host: name, pid: process.pid });
      });
      socket.on("error", (error) => {
        why = codeOf(error) === "ETIMEDOUT" ? "cut off" : (codeOf(error) ?? error.message);
      });
      socket.once("close", () => {
        clearTimeout(late);
        if (admitted) client.#end(why);
        else reject(new Error(why));
      });
      readMessages(
        socket,
        (message) => {
          if (admitted) return client.#receive(message);
          clearTimeout(late);
          if (message["welcome"] === undefined) {
            reject(new SrpoError("ERR_RANKS", `refused: ${String(message["refused"])}`));
            socket.destroy();
            return;
          }
          admitted = true;
          socket.unref();
          resolve(client);
        },
        (error) => socket.destroy(error),
      );
    });
  }

  get open(): boolean {
    return this.#why === undefined;
  }

  set(key: string, value: string): Promise<void> {
    return this.#ask({ op: "set", key, value }) as Promise<void>;
  }
  async get(key: string): Promise<string | undefined> {
    return ((await this.#ask({ op: "get", key })) as string | null) ?? undefined;
  }
  /** The key's value, when it has one. */
  wait(key: string): Promise<string> {
    return this.#ask({ op: "wait", key }) as Promise<string>;
  }
  add(key: string, value: number): Promise<number> {
    return this.#ask({ op: "add", key, value }) as Promise<number>;
  }

  /** What is no request; nothing answers it. */
  say(message: Message): void {
    sendMessage(this.#socket, message);
  }

  async close(): Promise<void> {
    if (!this.open) return;
    await new Promise<void>((resolve) => {
      const late = setTimeout(() => this.#socket.destroy(), 1000);
      this.#socket.once("close", () => {
        clearTimeout(late);
        resolve();
      });
      this.#socket.end();
    });
  }

  #ask(request: Message): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#why !== undefined) {
        reject(new SrpoError("ERR_RANKS", `store: ${this.#why}`));
        return;
      }
      const id = ++this.#lastId;
      this.#requests.set(id, { resolve, reject });
      this.#socket.ref(); // the process stays for the answer
      sendMessage(this.#socket, { ...request, id });
    });
  }

  #receive(message: Message): void {
    const { id, result, error } = message;
    const request = typeof id === "number" ? this.#requests.get(id) : undefined;
    if (request === undefined) {
      this.events.said?.(message);
      return;
    }
    this.#requests.delete(id as number);
    if (this.#requests.size === 0) this.#socket.unref();
    if (typeof error === "string") request.reject(new SrpoError("ERR_RANKS", error));
    else request.resolve(result);
  }

  #end(why: string): void {
    this.#why = `the connection to rank 0 ended: ${why}`;
    for (const { reject } of this.#requests.values())
      reject(new SrpoError("ERR_RANKS", `store: ${this.#why}`));
    this.#requests.clear();
    this.events.gone?.(why);
  }
}
