import { html, type Html } from "./html.js";

export interface Column {
  name: string;
  /** Numbers stand right, words left. */
  align?: "left" | "right";
  /** Whether its cells are prose, which may break into lines. */
  prose?: boolean;
  /** What the column's name means, where it is not plain. */
  about?: string;
}

/** One table for the terminal and for the page. */
export interface Table {
  columns: readonly Column[];
  rows: readonly (readonly string[])[];
  /** Rows that stand out. */
  strong?: ReadonlySet<number>;
}

/** A table in letters of one width. */
export function textTable({ columns, rows }: Table): string {
  const all = [columns.map(({ name }) => name), ...rows];
  const widths = columns.map((_, i) => Math.max(...all.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    columns
      .map(({ align }, i) =>
        align === "right" ? (row[i] ?? "").padStart(widths[i]!) : (row[i] ?? "").padEnd(widths[i]!),
      )
      .join("  ")
      .trimEnd();
  const rule = widths.map((width) => "-".repeat(width)).join("  ");
  return [line(all[0]!), rule, ...rows.map(line)].join("\n");
}

/** The same table as HTML, which scrolls by itself where the page is narrow. */
export function htmlTable({ columns, rows, strong }: Table): Html {
  const right = (i: number) =>
    columns[i]?.align === "right"
      ? html` class="number"`
      : columns[i]?.prose === true && html` class="prose"`;
  return html`<div class="scroll">
    <table>
      <thead>
        <tr>
          ${columns.map(
            ({ name, about }, i) =>
              html`<th scope="col" ${right(i)}${about !== undefined && html` title="${about}"`}>
                ${name}
              </th>`,
          )}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row, r) =>
            html`<tr${strong?.has(r) === true && html` class="strong"`}>${row.map((cell, i) =>
              i === 0
                ? html`<th scope="row" ${right(i)}>${cell}</th>`
                : html`<td${right(i)}>${cell}</td>`,
            )}</tr>`,
        )}
      </tbody>
    </table>
  </div> `;
}
