import type { Socket } from "node:net";
import { SrpoError } from "../native/error.js";

/** Of one message; an id or an address is a few hundred bytes. */
export const mostLineBytes = 1 << 20;

export type Message = Readonly<Record<string, unknown>>;

/**
 * Hands on each line of a socket as the JSON object it is. What is longer than 1 MB or no object ends the
 * connection: nobody of ours sends it.
 */
export function readMessages(
  socket: Socket,
  onMessage: (message: Message) => void,
  onGarbage: (error: SrpoError) => void,
): void {
  let parts: Buffer[] = [];
  let held = 0;
  const refuse = (what: string) => {
    parts = [];
    socket.removeListener("data", onData);
    onGarbage(new SrpoError("ERR_RANKS", `store: expected a message, got ${what}`));
  };
  const take = (bytes: Buffer): boolean => {
    let message: unknown;
    try {
      message = JSON.parse(bytes.toString("utf8"));
    } catch {
      refuse("what is no JSON");
      return false;
    }
    if (typeof message !== "object" || message === null || Array.isArray(message)) {
      refuse("what is no object");
      return false;
    }
    onMessage(message as Message);
    return !socket.destroyed;
  };
  const onData = (chunk: Buffer): void => {
    let rest = chunk;
    for (;;) {
      const end = rest.indexOf(10);
      const piece = end < 0 ? rest : rest.subarray(0, end);
      held += piece.length;
      if (held > mostLineBytes) {
        refuse(`more than ${mostLineBytes} bytes`);
        return;
      }
      parts.push(piece);
      if (end < 0) return;
      const line = parts.length === 1 ? piece : Buffer.concat(parts);
      parts = [];
      held = 0;
      if (!take(line)) return;
      rest = rest.subarray(end + 1);
      if (rest.length === 0) return;
    }
  };
  socket.on("data", onData);
}

export function sendMessage(socket: Socket, message: Message): void {
  if (!socket.destroyed && socket.writable) socket.write(`${JSON.stringify(message)}\n`);
}
