// The ranks' meeting place, in rank 0: a few keys, and who is there. Bound to the master's address alone,
// it takes nobody in who does not know the job's token.
import { createHash, timingSafeEqual } from "node:crypto";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { codeOf, SrpoError } from "../native/error.js";
import { readMessages, sendMessage, type Message } from "./lines.js";
import { noticeCutOff } from "./sockets.js";

/** Until who connects has said the token; who has not is nobody. */
const helloMs = 5000;
/** Connections that have not said it yet. */
const mostStrangers = 64;
const mostKeys = 100_000;
const mostKeptBytes = 64 << 20;

export interface Member {
  readonly rank: number;
  readonly host: string;
  readonly pid: number;
}

export interface StoreEvents {
  joined?(member: Member): void;
  /** What a member says that is no request of the store. */
  said?(member: Member, message: Message): void;
  /** Its connection ended, whoever ended it. */
  gone?(member: Member, why: string): void;
}

const digest = (text: string) => createHash("sha256").update(text).digest();

export class StoreServer {
  readonly #server: Server;
  readonly #token: Buffer;
  readonly #size: number;
  readonly #members = new Map<number, { member: Member; socket: Socket }>();
  readonly #strangers = new Set<Socket>();
  readonly #values = new Map<string, string>();
  readonly #waiting = new Map<string, (() => void)[]>();
  #keptBytes = 0;
  #closing = false;
  events: StoreEvents = {};

  private constructor(server: Server, token: string, size: number) {
    this.#server = server;
    this.#token = digest(token);
    this.#size = size;
    server.on("connection", (socket) => this.#meet(socket));
  }

  /**
   * @param options.host - an address of this machine: the only one that is listened at
   * @param options.port - 0: any that is free
   * @param options.size - of the job; rank 0 is here, the others may come, each once
   * @throws SrpoError ERR_RANKS if the address is not to be had
   */
  static async listen(options: {
    host: string;
    port: number;
    token: string;
    size: number;
  }): Promise<StoreServer> {
    const { host, port, token, size } = options;
    const server = createServer();
    const store = new StoreServer(server, token, size);
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) => {
        const why = codeOf(error) ?? error.message;
        const message = `store: rank 0 cannot listen at ${host}:${port}: ${why}`;
        reject(new SrpoError("ERR_RANKS", message, { cause: error }));
      });
      server.listen({ host, port, exclusive: true }, resolve);
    });
    server.on("error", () => undefined); // of one connection that was not taken: it comes again
    server.unref();
    return store;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }
  get members(): Member[] {
    return [...this.#members.values()].map(({ member }) => member);
  }

  /** To everyone who is there. */
  tell(message: Message): void {
    for (const { socket } of this.#members.values()) sendMessage(socket, message);
  }

  set(key: string, value: string): void {
    this.#keptBytes += value.length - (this.#values.get(key)?.length ?? 0);
    if (this.#values.size >= mostKeys || this.#keptBytes > mostKeptBytes)
      throw new SrpoError("ERR_RANKS", "store: expected fewer and smaller values");
    this.#values.set(key, value);
    const waiting = this.#waiting.get(key) ?? [];
    this.#waiting.delete(key);
    for (const go of waiting) go();
  }
  get(key: string): string | undefined {
    return this.#values.get(key);
  }
  add(key: string, more: number): number {
    const sum = Number(this.#values.get(key) ?? 0) + more;
    this.set(key, String(sum));
    return sum;
  }
  /** Calls `then` when the key has a value. */
  wait(key: string, then: (value: string) => void): void {
    const value = this.#values.get(key);
    if (value !== undefined) return then(value);
    const waiting = this.#waiting.get(key) ?? [];
    waiting.push(() => then(this.#values.get(key) ?? ""));
    this.#waiting.set(key, waiting);
  }

  async close(): Promise<void> {
    this.#closing = true;
    for (const { socket } of this.#members.values()) socket.end();
    for (const socket of this.#strangers) socket.destroy();
    await new Promise<void>((resolve) => {
      const late = setTimeout(() => {
        for (const { socket } of this.#members.values()) socket.destroy();
      }, 1000);
      this.#server.close(() => {
        clearTimeout(late);
        resolve();
      });
    });
  }

  #meet(socket: Socket): void {
    socket.on("error", () => undefined); // "close" follows
    if (this.#closing || this.#strangers.size >= mostStrangers) {
      socket.destroy();
      return;
    }
    this.#strangers.add(socket);
    socket.unref();
    // However slowly it comes: a hello is one line.
    const late = setTimeout(() => socket.destroy(), helloMs);
    late.unref();
    let member: Member | undefined;
    const leave = () => {
      clearTimeout(late);
      this.#strangers.delete(socket);
    };
    socket.once("close", leave);
    readMessages(
      socket,
      (message) => {
        if (member !== undefined) {
          this.#serve(member, socket, message);
          return;
        }
        leave();
        member = this.#admit(socket, message);
        if (member === undefined) socket.destroySoon();
      },
      () => socket.destroy(),
    );
  }

  /** The member that a hello makes of a stranger. */
  #admit(socket: Socket, { token, rank, host, pid }: Message): Member | undefined {
    // Equal lengths, in a time that says nothing of where they differ.
    if (typeof token !== "string" || !timingSafeEqual(digest(token), this.#token)) {
      sendMessage(socket, { refused: "another job's token" });
      return undefined;
    }
    const known =
      typeof rank === "number" && Number.isInteger(rank) && rank > 0 && rank < this.#size;
    if (!known || this.#members.has(rank)) {
      const why = known ? `rank ${rank} is there already` : `no rank of ${this.#size}`;
      sendMessage(socket, { refused: why });
      return undefined;
    }
    const member = {
      rank,
      host: typeof host === "string" ? host.slice(0, 253) : "?",
      pid: typeof pid === "number" ? pid : 0,
    };
    noticeCutOff(socket);
    let why = "its connection was closed";
    socket.on("error", (error) => {
      why =
        codeOf(error) === "ETIMEDOUT"
          ? "it was cut off"
          : `its connection broke (${codeOf(error)})`;
    });
    socket.once("close", () => {
      this.#members.delete(rank);
      this.events.gone?.(member, why);
    });
    this.#members.set(rank, { member, socket });
    sendMessage(socket, { welcome: this.#size });
    this.events.joined?.(member);
    return member;
  }

  #serve(member: Member, socket: Socket, message: Message): void {
    const { id, op, key, value } = message;
    if (op === undefined) {
      this.events.said?.(member, message);
      return;
    }
    const answer = (result: unknown) => sendMessage(socket, { id, result: result ?? null });
    try {
      if (typeof id !== "number" || typeof key !== "string" || key.length > 1000)
        throw new SrpoError("ERR_RANKS", "store: expected an id and a key");
      if (op === "set" && typeof value === "string") answer(this.set(key, value));
      else if (op === "get") answer(this.get(key));
      else if (op === "wait") this.wait(key, answer);
      else if (op === "add" && typeof value === "number") answer(this.add(key, value));
      else throw new SrpoError("ERR_RANKS", `store: expected set, get, wait or add`);
    } catch (error) {
      sendMessage(socket, { id, error: (error as Error).message });
    }
  }
}
