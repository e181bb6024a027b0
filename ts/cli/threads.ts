/** The option of every command that computes on the cpu device. */
export const threads = {
  type: "number",
  integer: true,
  min: 0,
  max: 1024,
  default: 0,
  help: "of the cpu device; 0: all. Results do not depend on it",
} as const;
