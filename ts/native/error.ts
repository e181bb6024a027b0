/**
 * The error of this package. `code` is stable and is what code should read; the message is for
 * people: `<op>: <argument>: expected <what>, got <what>`. The addon throws it too, but for ERR_TYPE and
 * ERR_RANGE, which are a TypeError's and a RangeError's codes.
 */
export class SrpoError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "SrpoError";
    this.code = code;
  }
}

/** The `code` of an error of ours, of the addon's or of Node's; undefined for anything else. */
export function codeOf(error: unknown): string | undefined {
  if (error instanceof Error && "code" in error && typeof error.code === "string")
    return error.code;
  return undefined;
}
