// Each expected text is what ftfy 6.3.1, the reference tokenizers' own library, answered.
import assert from "node:assert/strict";
import { test } from "uvu";
import { cleanHfFast, cleanOpenClip } from "../../ts/text/clean.js";
import { fixText } from "../../ts/text/fix_text.js";

const rows: [string, string, string][] = [
  ["curly quotes", "\u201ca\u201d \u2018b\u2019", "\"a\" 'b'"],
  ["full-width forms", "\uff21\u3000\uff8a\uff9f", "A \u30d1"],
  ["ligatures", "\ufb01ne \u0149", "fine 'n"],
  ["entities", "&EACUTE; &HELLIP; &#8217; &fjlig; &notit; &#x80;", "É … ' fj &notit; €"],
  ["nested entities", "&amp;amp;amp;lt;", "<"],
  ["no entities after a <", "a &amp;\nb < &amp;\n &amp;", "a &\nb < &amp;\n &amp;"],
  ["mojibake", "schÃ¶n itâ€™s", "schön it's"],
  ["mojibake of mojibake", "schÃƒÂ¶n", "schön"],
  ["quotes in mojibake of mojibake", "a Ã¢â‚¬Å“b Ãƒâ€žrger", 'a "b Ärger'],
  ["mojibake with control characters", "a â\x98\x83 donâ\x80\x99t", "a ☃ don't"],
  ["Cyrillic mojibake", "ÐŸÑ€Ð¸Ð²ÐµÑ‚, Ð¼Ð¸Ñ€!", "Привет, мир!"],
  ["mojibake beside Han", "中文 cafÃ©", "中文 café"],
  ["no mojibake", "CAFÉ… IRMÃ… voilà\u00a0» NÃO à la", "CAFÉ… IRMÃ… voilà\u00a0» NÃO à la"],
  ["line breaks", "a\r\nb\rc\u2028d", "a\nb\nc\nd"],
  ["control characters", "\0a\x07\u007f\ufeff\ufffc", "a"],
  ["Windows control characters", "a\x93b\x94 \x85", 'a"b" …'],
  ["terminal escapes", "\x1b[36;44mfoo\x1b[0m", "foo"],
  ["a lone surrogate", "\ud800x \ud83d\udc31", "\ufffdx \ud83d\udc31"],
  ["NFC", "e\u0301\u0327", "\u0229\u0301"],
];
for (const [name, text, fixed] of rows)
  test(`fixText: ${name}`, () => {
    assert.equal(fixText(text), fixed);
  });

test("white space and case are those of the reference, not JavaScript's", () => {
  assert.equal(cleanOpenClip(" a\x1cb\u0085\u00a0c\u3000"), "ab… c");
  assert.equal(cleanHfFast("a\u0085b\ufeffc \n"), "a b\ufeffc ");
  assert.equal(cleanOpenClip("ΟΔΟΣ"), "οδος");
  assert.equal(cleanHfFast("ΟΔΟΣ"), "οδοσ");
});

test("a hostile text takes linear time", () => {
  const started = performance.now();
  for (const unit of ["&amp;", "amp;", "Ã©", "&#", "\x1b[", "&\n", "…"])
    cleanOpenClip(`&${unit.repeat(200_000)}`);
  const seconds = (performance.now() - started) / 1000;
  assert.ok(seconds < 30, `took ${seconds.toFixed(1)} s`);
});

test.run();
