import { existsSync } from "node:fs";
import path from "node:path";
import { accessOf, checkedPath, checkedRepository } from "../download/access.js";
import { defaultPatience } from "../download/file.js";
import { listRepository, type RemoteFile } from "../download/hub.js";
import { downloadRepository, wantedFiles } from "../download/repository.js";
import { SrpoError } from "../native/error.js";
import { Progress } from "../train/progress.js";
import { command } from "./command.js";
import { interruptedCode } from "./interrupt.js";

/** What whoever downloads should know, by repository. */
const licences: Readonly<Record<string, string>> = {
  "black-forest-labs/FLUX.1-dev":
    "FLUX.1-dev: non-commercial licence of Black Forest Labs; what is trained from it inherits it",
  "black-forest-labs/FLUX.1-schnell": "FLUX.1-schnell: Apache-2.0",
};

export const downloadCommand = command({
  name: "download",
  positional: "OWNER/NAME",
  summary: "a repository's files from the hub, with resume and checksums",
  schema: {
    out: { type: "text", help: "folder; default: the repository's name" },
    file: { type: "texts", help: "files by name, which need no listing" },
    include: { type: "texts", help: "patterns of files: transformer/*, **/*.json" },
    exclude: { type: "texts", help: "patterns of files that are left" },
    revision: { type: "text", default: "main", help: "branch, tag or commit" },
    tokenFile: { type: "text", path: true, help: "file with a token; default HF_TOKEN" },
    attempts: {
      type: "number",
      integer: true,
      min: 1,
      max: 1000,
      default: defaultPatience.attempts,
      help: "in a row that bring no byte",
    },
    stall: {
      type: "number",
      min: 0.01,
      max: 3600,
      default: defaultPatience.stallMs / 1000,
      help: "seconds without a byte after which a connection is given up",
    },
    list: { type: "boolean", default: false, help: "print the files and end" },
    json: { type: "boolean", default: false, help: "as JSON" },
  },
  stops: true,
  examples: [
    [
      "download black-forest-labs/FLUX.1-dev --out flux --exclude '*.safetensors'",
      "the diffusers folder without the single files beside it",
    ],
    ["download xswu/HPSv2 --file HPS_v2.1_compressed.pt --out hps", "one file"],
  ],
  async run(options, { positional, signal }) {
    const { file, include, exclude, revision, tokenFile, attempts, stall, list, json } = options;
    const [name, ...more] = positional;
    if (name === undefined || more.length > 0)
      throw new SrpoError(
        "ERR_CONFIG",
        `download: expected one repository, OWNER/NAME, got ${positional.length === 0 ? "none" : positional.join(" ")}`,
      );
    const repository = checkedRepository(name);
    const access = accessOf(process.env, { tokenFile });
    const all: RemoteFile[] =
      file === undefined
        ? await listRepository(access, { repository, revision })
        : file.map((one) => ({ path: checkedPath(one), size: undefined }));
    const files = wantedFiles(all, { include, exclude });
    const total = files.reduce((sum, { size = 0 }) => sum + size, 0);
    if (list) {
      const line = ({ path: place, size }: RemoteFile) =>
        `${String(size ?? "?").padStart(12)} ${place}\n`;
      process.stdout.write(json ? `${JSON.stringify(files)}\n` : files.map(line).join(""));
      return 0;
    }
    const out = path.resolve(options.out ?? repository.split("/")[1]!);
    const progress = new Progress({ unit: "MB", total: Math.max(1, Math.round(total / 1e6)) });
    try {
      await downloadRepository(access, {
        repository,
        revision,
        files,
        out,
        patience: { ...defaultPatience, attempts, stallMs: stall * 1000 },
        signal,
        onBytes: (bytes, now) => progress.update(Math.floor(bytes / 1e6), now),
      });
    } catch (error) {
      if (!signal.aborted) throw error;
      process.stderr.write("stopped; the same command goes on from what has come\n");
      return interruptedCode(signal);
    } finally {
      progress.end();
    }
    const licence = files.map((one) => one.path).find((one) => /^licen[cs]e/i.test(one));
    const note = licences[repository];
    if (note !== undefined) process.stderr.write(`${note}\n`);
    if (licence !== undefined && existsSync(path.join(out, licence)))
      process.stderr.write(`licence: ${path.join(out, licence)}\n`);
    process.stdout.write(
      json ? `${JSON.stringify({ out, files: files.map((one) => one.path) })}\n` : `${out}\n`,
    );
    return 0;
  },
});
