// Pictures in rows with names and captions, as one PNG that can be shown without a page around it.
import { gridOf } from "../data/grid.js";
import type { Picture } from "../data/png.js";
import { Canvas, type Colour } from "./canvas.js";
import { letterSize, wrapped } from "./font.js";
import type { Pair, PictureRows } from "./pictures.js";

const ground: Colour = [252, 251, 248];
const ink: Colour = [34, 33, 31];
const quiet: Colour = [109, 106, 100];

const gap = 10;
const lineHeight = 10; // of letters at scale 1

interface Cell {
  picture: Picture;
  /** Above the picture, each over its own part of the width. */
  heads: readonly string[];
  caption: string;
}

interface SheetOptions {
  columns: number;
  /** Screen dots a side of a picture's dot. */
  scale: number;
  /** Left of each row. */
  names?: readonly string[];
}

const textWidth = (text: string, scale: number) => text.length * letterSize.advance * scale;

/** Cells in rows; every row is as high as its longest caption needs. */
function sheet(cells: readonly Cell[], { columns, scale, names = [] }: SheetOptions): Picture {
  const [first] = cells;
  if (first === undefined) return new Canvas(1, 1, ground);
  const letters = Math.max(1, Math.round(scale / 2));
  const line = lineHeight * letters;
  const cellWidth = first.picture.width * scale;
  const left = gap + Math.max(0, ...names.map((name) => textWidth(name, letters) + gap));
  const wrap = (text: string) =>
    wrapped(text, Math.max(4, Math.floor(cellWidth / (letterSize.advance * letters))));
  const rows = Array.from({ length: Math.ceil(cells.length / columns) }, (_, r) => {
    const own = cells.slice(r * columns, (r + 1) * columns);
    const heads = own.some((cell) => cell.heads.length > 0) ? line + 2 : 0;
    const captions = Math.max(...own.map((cell) => wrap(cell.caption).length));
    const below = captions === 0 ? 0 : captions * line + 4;
    return { own, heads, height: heads + first.picture.height * scale + below };
  });
  const width = left + Math.min(columns, cells.length) * (cellWidth + gap);
  const canvas = new Canvas(
    width,
    rows.reduce((sum, row) => sum + row.height + gap, gap),
    ground,
  );
  let top = gap;
  rows.forEach(({ own, heads, height }, r) => {
    const middle = top + heads + (first.picture.height * scale - line) / 2;
    canvas.text(gap, Math.round(middle), names[r] ?? "", letters, ink);
    own.forEach((cell, c) => {
      const x = left + c * (cellWidth + gap);
      cell.heads.forEach((head, i) =>
        canvas.text(x + Math.round((i * cellWidth) / cell.heads.length), top, head, letters, quiet),
      );
      canvas.picture(x, top + heads, cell.picture, scale);
      wrap(cell.caption).forEach((text, i) => {
        const y = top + heads + cell.picture.height * scale + 4 + i * line;
        canvas.text(x, y, text, letters, ink);
      });
    });
    top += height + gap;
  });
  return canvas;
}

/** before | after of each prompt side by side, the prompt beneath. */
export function pairSheet(
  pairs: readonly Pair[],
  { columns = 3, scale = 2 }: { columns?: number; scale?: number } = {},
): Picture {
  const cells = pairs.map(({ caption, before, after }) => ({
    picture: gridOf([before, after], 2),
    heads: ["before", "after"],
    caption,
  }));
  return sheet(cells, { columns, scale });
}

/** A row a method, a column a prompt; the prompts beneath the last row. */
export function rowSheet({ captions, rows }: PictureRows, scale = 2): Picture {
  const cells = rows.flatMap(({ pictures }, r) =>
    pictures.map((picture, i) => ({
      picture,
      heads: [],
      caption: r === rows.length - 1 ? (captions[i] ?? "") : "",
    })),
  );
  return sheet(cells, { columns: captions.length, scale, names: rows.map(({ name }) => name) });
}
