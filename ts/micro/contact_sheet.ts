import { gridOf, picturesOf } from "../data/grid.js";
import type { Picture } from "../data/png.js";
import { tensorScope } from "../tensor/scope.js";
import { captionOf } from "./captions.js";
import type { Attributes } from "./attributes.js";
import { render } from "./render.js";
import type { Scene } from "./scenes.js";
import { styles, type Style } from "./styles.js";

export interface SheetColumn {
  /** Of the scene within its split. */
  number: number;
  attributes: Attributes;
  caption: string;
  /** The control word that each style's caption would carry. */
  words: Readonly<Record<Style, string>>;
}

/** Scenes side by side, a style a row, and what each column shows. */
export async function contactSheet(
  scenes: readonly Scene[],
  size: number,
): Promise<{ picture: Picture; columns: SheetColumn[] }> {
  using scope = tensorScope();
  void scope;
  const drawn = styles.map((style) => render(scenes, style, { size }));
  const rows = [];
  for (const pictures of drawn) rows.push(await picturesOf(pictures));
  const columns = scenes.map((scene) => {
    const { plain, words } = captionOf(scene);
    return { number: scene.number, attributes: scene.attributes, caption: plain, words };
  });
  return { picture: gridOf(rows.flat(), scenes.length), columns };
}
