import assert from "node:assert/strict";
import { suite } from "uvu";
import { attributeNames, attributeValues } from "../../ts/micro/attributes.js";
import {
  caption,
  captionOf,
  captionTokens,
  phrasings,
  unknownWords,
  vocabulary,
  withStyleWord,
  wordsOf,
} from "../../ts/micro/captions.js";
import { scenesOf, type Scene } from "../../ts/micro/scenes.js";
import { styles, styleWordAt, styleWords } from "../../ts/micro/styles.js";
import { refuses } from "../support/index.js";

const test = suite("micro captions");

test("every caption fits its tokens and the vocabulary, and names every attribute", () => {
  const known = new Set(vocabulary);
  const longest = Object.values(styleWords)
    .flatMap((list) => list.map(({ word }) => word))
    .reduce((a, b) => (wordsOf(b).length > wordsOf(a).length ? b : a));
  for (const { attributes } of scenesOf("training", 0, 240))
    for (let phrasing = 0; phrasing < phrasings; ++phrasing) {
      const words = wordsOf(withStyleWord(longest, caption(attributes, phrasing)));
      // The start and the end are tokens too.
      assert.ok(words.length + 2 <= captionTokens, `${words.length} words: ${words.join(" ")}`);
      for (const word of words) assert.ok(known.has(word), word);
      for (const name of attributeNames) assert.ok(words.includes(attributes[name]), name);
    }
});

test("the vocabulary is about fifty words, each of them used", () => {
  assert.ok(vocabulary.length >= 45 && vocabulary.length <= 60, `${vocabulary.length}`);
  const all = Object.values(attributeValues).flat();
  for (const word of all) assert.ok(vocabulary.includes(word));
  assert.ok(vocabulary.includes("Natural-lighting") && vocabulary.includes("Render"));
});

test("words that no caption has are named once; case does not matter", () => {
  assert.deepEqual(unknownWords("a BIG blue ball on the left, at dusk."), []);
  assert.deepEqual(unknownWords("A fox, a red fox in the rain"), ["fox", "rain"]);
});

test("a scene's caption is its own, and phrasings come equally often", () => {
  const scenes = scenesOf("training", 0, 1200);
  const counts = new Map<string, number>();
  for (const scene of scenes) {
    const { plain, chance } = captionOf(scene);
    assert.deepEqual(captionOf(scene).plain, plain);
    assert.ok(chance >= 0 && chance < 1);
    const all = Array.from({ length: phrasings }, (_, i) => caption(scene.attributes, i));
    const at = String(all.indexOf(plain));
    counts.set(at, (counts.get(at) ?? 0) + 1);
  }
  assert.equal(counts.size, phrasings);
  for (const count of counts.values()) assert.ok(Math.abs(count - 200) < 6 * Math.sqrt(200));
  const [scene] = scenes as [Scene];
  const variants = Array.from({ length: 12 }, (_, i) => captionOf(scene, i).plain);
  assert.ok(new Set(variants).size > 1);
});

test("style words come by their shares", () => {
  for (const style of styles) {
    const shares = styleWords[style].map(({ share }) => share);
    assert.ok(Math.abs(shares.reduce((a, b) => a + b, 0) - 1) < 1e-9, style);
    const n = 100_000;
    const words = Array.from({ length: n }, (_, i) => styleWordAt(style, (i + 0.5) / n));
    for (const { word, share } of styleWords[style])
      assert.ok(Math.abs(words.filter((w) => w === word).length / n - share) < 2e-5, word);
  }
});

test("a phrasing that there is not is refused", () => {
  const [scene] = scenesOf("training", 0, 1) as [Scene];
  refuses(
    () => caption(scene.attributes, phrasings),
    "ERR_RANGE",
    `caption: phrasing: expected 0 to ${phrasings - 1}, got ${phrasings}`,
  );
});

test.run();
