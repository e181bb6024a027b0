import type { Origin } from "../train/origin.js";
import type { Content } from "./html.js";
import { html } from "./html.js";

/** The page's last lines: which package made the run, when and where. */
export function originLines(origin: Origin | undefined): Content {
  if (origin === undefined) return undefined;
  const { version, commit, machine, started } = origin;
  return html`srpo-native
    ${version}${commit !== "unknown" && html`, commit <code>${commit}</code>`}.<br />${machine}.<br />Begun
    ${started}.`;
}
