// Where a repository is, and who asks: the endpoint, and a token that goes to no other host.
import { existsSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { SrpoError } from "../native/error.js";

export interface Access {
  /** `https://huggingface.co`, or what HF_ENDPOINT names; no slash at the end. */
  endpoint: string;
  /** Sent to the endpoint's own host alone. */
  token: string | undefined;
}

export const defaultEndpoint = "https://huggingface.co";

function endpointOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== "")
    throw new SrpoError(
      "ERR_CONFIG",
      `endpoint: expected an address as ${defaultEndpoint}, got ${text}`,
    );
  return text.replace(/\/+$/, "");
}

/** The token of the environment or of the file that the hub's own tools keep. */
function tokenOf(env: NodeJS.ProcessEnv, file: string | undefined): string | undefined {
  if (file !== undefined && !existsSync(file))
    throw new SrpoError(
      "ERR_CONFIG",
      `tokenFile: expected a file with a token, got none at ${file}`,
    );
  const home = env["HF_HOME"] ?? path.join(os.homedir(), ".cache", "huggingface");
  const place = file ?? env["HF_TOKEN_PATH"] ?? path.join(home, "token");
  const given = file === undefined ? env["HF_TOKEN"] : undefined;
  const text = (given ?? (existsSync(place) ? readFileSync(place, "utf8") : "")).trim();
  if (text === "") return undefined;
  if (!/^[\x21-\x7e]{1,512}$/.test(text))
    throw new SrpoError(
      "ERR_CONFIG",
      `token: expected one word, got something else in ${given === undefined ? place : "HF_TOKEN"}`,
    );
  return text;
}

const isLocal = (host: string) => /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(host);

/**
 * Endpoint and token as the environment has them: HF_ENDPOINT, HF_TOKEN, HF_TOKEN_PATH, HF_HOME.
 *
 * @param options.tokenFile - instead of the environment's token
 * @throws SrpoError ERR_CONFIG for a form that is wrong, or a token that would go over plain http
 */
export function accessOf(
  env: NodeJS.ProcessEnv,
  {
    tokenFile,
    endpoint: asked,
  }: { tokenFile?: string | undefined; endpoint?: string | undefined } = {},
): Access {
  const endpoint = endpointOf(asked ?? env["HF_ENDPOINT"] ?? defaultEndpoint);
  const token = tokenOf(env, tokenFile);
  const { protocol, hostname } = new URL(endpoint);
  if (token !== undefined && protocol === "http:" && !isLocal(hostname))
    throw new SrpoError(
      "ERR_CONFIG",
      `endpoint: expected https for a token to be sent to, got ${endpoint}`,
    );
  return { endpoint, token };
}

/** `owner/name`, of ordinary characters. @throws SrpoError ERR_CONFIG */
export function checkedRepository(name: string): string {
  if (!/^[\w-][\w.-]{0,95}\/[\w-][\w.-]{0,95}$/.test(name) || name.includes(".."))
    throw new SrpoError(
      "ERR_CONFIG",
      `download: expected a repository, OWNER/NAME, got ${JSON.stringify(name)}`,
    );
  return name;
}

/**
 * A file's name in a repository, which a listing may lie about: no absolute path, none that leaves the folder.
 *
 * @throws SrpoError ERR_DOWNLOAD
 */
export function checkedPath(name: string): string {
  const parts = name.split("/");
  // eslint-disable-next-line no-control-regex
  const odd = name.length > 1024 || /[\\\u0000-\u001f:]/.test(name);
  if (odd || parts.some((part) => part === "" || part === "." || part === ".."))
    throw new SrpoError(
      "ERR_DOWNLOAD",
      `download: expected a name inside the repository, got ${JSON.stringify(name.slice(0, 120))}`,
    );
  return name;
}
