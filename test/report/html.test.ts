import assert from "node:assert/strict";
import { test } from "uvu";
import { escaped, html } from "../../ts/report/html.js";
import { commandLine, facts, page, section } from "../../ts/report/page.js";
import { pairCards, pictureRows } from "../../ts/report/pictures.js";
import { htmlTable, textTable, type Table } from "../../ts/report/table.js";
import { assertStandsAlone, assertWellFormed } from "../support/pages.js";

/** Captions that someone might write to break out of where they stand. */
const hostile = [
  '<script>alert("1")</script>',
  '"><img src=x onerror=alert(1)>',
  "' onload='alert(1)",
  "</title></style></figcaption><h1>",
  "a & b &lt; c &#0; ]]> -->",
  "nul \u0000 bell \u0007 lone \ud800 bidi \u202e end",
  "${1 + 1} `tick` {{x}}",
  "https://example.com/?a=1&b=2".replace("https:", "ftp:"),
];

const dot = (value: number) => ({ width: 2, height: 2, rgb: new Uint8Array(12).fill(value) });

test("a template escapes what it is given, and only once", () => {
  assert.equal(
    html`<b>${"<&>"}</b>${[1, " ", html`<i>x</i>`]}${undefined}${false}`.text,
    "<b>&lt;&amp;&gt;</b>1 <i>x</i>",
  );
  assert.equal(escaped(`"'`), "&quot;&#39;");
  assert.equal(escaped("a\u0000b\ud800c\n"), "a\ufffdb\ufffdc\n");
});

test("hostile captions stay text everywhere, and the page stays whole", () => {
  const table: Table = {
    columns: hostile.map((name) => ({ name, about: name })),
    rows: [hostile, hostile],
    strong: new Set([1]),
  };
  const pairs = hostile.map((caption) => ({ caption, before: dot(1), after: dot(9) }));
  const rows = { captions: hostile, rows: hostile.map((name) => ({ name, pictures: [dot(3)] })) };
  for (const words of hostile) {
    const text = page({
      title: words,
      lead: words,
      body: [
        section(words, words, htmlTable(table)),
        commandLine(words),
        facts([[words, words]]),
        pairCards(pairs),
        pictureRows(rows),
      ],
      foot: words,
    });
    assertWellFormed(text);
    assertStandsAlone(text);
    assert.ok(text.includes(escaped(words)));
  }
});

test("the same content gives the same bytes", () => {
  const make = () =>
    page({ title: "a", body: pairCards([{ caption: "b", before: dot(0), after: dot(255) }]) });
  assert.equal(make(), make());
});

test("the table of the terminal: numbers right, words left, no space at the ends", () => {
  const table: Table = {
    columns: [{ name: "method" }, { name: "reward", align: "right" }],
    rows: [
      ["base", "0.7"],
      ["Direct-Align", "-10.75"],
    ],
  };
  assert.equal(
    textTable(table),
    [
      "method        reward",
      "------------  ------",
      "base             0.7",
      "Direct-Align  -10.75",
    ].join("\n"),
  );
});

test.run();
