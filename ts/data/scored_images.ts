// What `score` looks at: pictures with the prompt that each is to show.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { SrpoError } from "../native/error.js";
import { cellsOf, readGridText } from "./grid.js";
import { pictureNames, readPicture } from "./images.js";
import { decodePng, pngText, type Picture } from "./png.js";

/** A picture that can be scored. */
export interface ScoredImage {
  /** The file's name, and the place in a grid. */
  name: string;
  /** What is averaged together: a grid's name; undefined outside grids. */
  group?: string;
  prompt: string;
  read(): Promise<Picture>;
}

const refuse = (expected: string, got: string): never => {
  throw new SrpoError("ERR_CONFIG", `pictures: expected ${expected}, got ${got}`);
};

const oneLine = (text: string) => text.trim().replaceAll(/\s+/g, " ");

/** The pictures of a grid that describes itself, as training writes its samples. */
function cells(file: string, name: string): ScoredImage[] | undefined {
  const grid = readGridText(pngText(readFileSync(file), file));
  if (grid === undefined) return undefined;
  let pictures: Picture[] | undefined; // decoded once for all of them
  return grid.prompts.map((prompt, i) => ({
    name: `${name}#${i}`,
    group: name,
    prompt,
    read: () => {
      pictures ??= cellsOf(decodePng(readFileSync(file), file), grid);
      const picture = pictures?.[i];
      if (picture === undefined)
        throw new SrpoError(
          "ERR_IMAGE",
          `${file}: expected the grid that its text describes, got another size`,
        );
      return Promise.resolve(picture);
    },
  }));
}

/** One file: a grid, or a picture whose prompt stands in NAME.txt or in the PNG itself; undefined without one. */
function pictured(file: string): ScoredImage[] | undefined {
  const { name, ext, base } = path.parse(file);
  const single = (prompt: string): ScoredImage[] => [
    { name: base, prompt: oneLine(prompt), read: () => readPicture(file) },
  ];
  const caption = path.join(path.dirname(file), `${name}.txt`);
  if (existsSync(caption)) return single(readFileSync(caption, "utf8"));
  if (ext.toLowerCase() !== ".png") return undefined;
  const { prompt } = pngText(readFileSync(file), file);
  return prompt === undefined ? cells(file, name) : single(prompt);
}

/** The folder that the pictures of a place lie in: a run's are its samples. */
function pictureFolder(place: string): string {
  const samples = path.join(place, "samples");
  return existsSync(path.join(place, "config.yaml")) && existsSync(samples) ? samples : place;
}

/**
 * The pictures at a place: a picture, a folder of them, or a run's folder, whose sample grids count. A prompt
 * stands in NAME.txt beside its picture, or in the PNG's own text (`sample` and `train` write it there).
 *
 * @param prompts - in place of those: one a picture by name, or one for as many in a row as `sample --count` drew
 * @throws SrpoError ERR_CONFIG for no pictures, pictures without a prompt (all named), or prompts that do not
 *   go into the pictures
 */
export function listScored(place: string, prompts?: readonly string[]): ScoredImage[] {
  if (!existsSync(place)) return refuse("a folder or a picture", `none at ${place}`);
  const folder = statSync(place).isDirectory() ? pictureFolder(place) : path.dirname(place);
  const names = statSync(place).isDirectory()
    ? pictureNames(readdirSync(folder))
    : [path.basename(place)];
  if (names.length === 0) return refuse(`.png, .jpg or .webp files in ${folder}`, "none");
  if (prompts !== undefined) {
    const each = names.length / prompts.length;
    if (!Number.isInteger(each))
      return refuse(
        `one a prompt, or as many of each, for ${prompts.length} prompts`,
        `${names.length} in ${folder}`,
      );
    return names.map((name, i) => ({
      name,
      prompt: prompts[Math.floor(i / each)]!,
      read: () => readPicture(path.join(folder, name)),
    }));
  }
  const found = names.map((name) => pictured(path.join(folder, name)));
  const bare = names.filter((_, i) => found[i] === undefined);
  if (bare.length > 0)
    return refuse(
      `a prompt for each in ${folder}: NAME.txt beside it, text in the PNG, or --prompts FILE`,
      `none for ${bare.slice(0, 10).join(", ")}${bare.length > 10 ? ` and ${bare.length - 10} more` : ""}`,
    );
  return found.flatMap((images) => images!);
}
