import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, ftruncateSync, openSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { suite } from "uvu";
import { SafetensorsFile } from "../../ts/checkpoint/safetensors.js";
import { folder, fresh, raw } from "./files.js";

const test = suite("safetensors header");

/** Opening fails with this text after the file's name, in one line. */
function refused(file: string, message: string): void {
  assert.throws(() => SafetensorsFile.open(file), {
    code: "ERR_CHECKPOINT",
    message: `${file}: ${message}`,
  });
}

const f32 = (shape: unknown, offsets: unknown) =>
  JSON.stringify({ dtype: "F32", shape, data_offsets: offsets });
const a8 = `"a":${f32([2], [0, 8])}`;

test("a good header is read, in any order, with blanks around it", () => {
  const file = raw(
    ` {\n"b":${f32([1, 2], [8, 16])},"__metadata__":{"k":"v\\u00e9\\ud83d\\ude00"},${a8}}   \n`,
    16,
  );
  using opened = SafetensorsFile.open(file);
  assert.deepEqual([...opened.names()], ["a", "b"]);
  assert.deepEqual(opened.info("b").shape, [1, 2]);
  assert.equal(opened.info("b").bytes, 8);
  assert.equal(opened.metadata.get("k"), "vé😀");
  assert.throws(() => opened.info("c"), {
    code: "ERR_CHECKPOINT",
    message: `${file}: c: expected a tensor of this name, got none`,
  });
});

test("an empty file of tensors, scalars and empty tensors are legal", () => {
  using none = SafetensorsFile.open(raw("{}"));
  assert.deepEqual([...none.names()], []);
  using some = SafetensorsFile.open(raw(`{"s":${f32([], [0, 4])},"e":${f32([0, 3], [0, 0])}}`, 4));
  assert.deepEqual(some.shape("s"), []);
  assert.deepEqual(some.shape("e"), [0, 3]);
});

test("names that mean something to JavaScript are names", () => {
  using file = SafetensorsFile.open(raw(`{"__proto__":${f32([2], [0, 8])}}`, 8));
  assert.deepEqual(file.shape("__proto__"), [2]);
  assert.equal(file.has("constructor"), false);
});

test("a header's length beyond the file, the limit and 2^62", () => {
  refused(
    raw("{}", 0, 3n),
    "header: expected 3 bytes, as its length says, got 2 bytes to the end of the file; it was cut, download it again",
  );
  refused(raw("{}", 0, 100_000_001n), "header: expected at most 100000000 bytes, got 100000001");
  refused(
    raw("{}", 0, 1n << 62n),
    "header: expected at most 100000000 bytes, got 4611686018427387904",
  );
  refused(
    raw("{}", 0, (1n << 64n) - 1n),
    "header: expected at most 100000000 bytes, got 18446744073709551615",
  );
});

test("files too short for a header", () => {
  for (const bytes of [0, 1, 8, 9]) {
    const file = fresh();
    writeFileSync(file, Buffer.alloc(bytes));
    refused(
      file,
      bytes === 0
        ? "file: expected a safetensors or PyTorch zip checkpoint, got an empty file; download it again"
        : `header: expected a length of 8 bytes and a header, got a file of ${bytes} bytes`,
    );
  }
});

test("what is no regular file", () => {
  refused(folder, "file: expected a regular file, got a folder");
  refused(`${folder}/none`, "file: expected a readable file, got No such file or directory");
  refused("/dev/zero", "file: expected a regular file, got something else");
  const pipe = fresh("pipe");
  execFileSync("mkfifo", [pipe]);
  refused(pipe, "file: expected a regular file, got something else");
  assert.throws(() => SafetensorsFile.open(`${folder}/a\0b`), { code: "ERR_RANGE" });
});

test("truncated data, and bytes left over", () => {
  const file = raw(`{${a8}}`, 8);
  truncateSync(file, 8 + `{${a8}}`.length + 7);
  refused(
    file,
    "a: expected data_offsets within the 7 bytes of data, got [0, 8]; the file was cut, download it again",
  );
  refused(raw(`{${a8}}`, 9), "header: expected tensors that fill the 9 bytes of data, got 8 bytes");
  refused(raw("{}", 1), "header: expected tensors that fill the 1 bytes of data, got 0 bytes");
});

test("overlap, holes and offsets out of order", () => {
  refused(
    raw(`{${a8},"b":${f32([2], [4, 12])}}`, 12),
    "b: expected data from byte 8 on, without hole or overlap, got data_offsets [4, 12]",
  );
  refused(
    raw(`{${a8},"b":${f32([2], [0, 8])}}`, 8),
    "b: expected data from byte 8 on, without hole or overlap, got data_offsets [0, 8]",
  );
  refused(
    raw(`{${a8},"b":${f32([2], [12, 20])}}`, 20),
    "b: expected data from byte 8 on, without hole or overlap, got data_offsets [12, 20]",
  );
  refused(
    raw(`{"a":${f32([2], [4, 12])}}`, 12),
    "a: expected data from byte 0 on, without hole or overlap, got data_offsets [4, 12]",
  );
  refused(
    raw(`{"a":${f32([2], [8, 0])}}`, 8),
    "a: expected data_offsets that begin before they end, got [8, 0]",
  );
});

test("shapes that disagree with their bytes or overflow", () => {
  refused(
    raw(`{"a":${f32([3], [0, 8])}}`, 8),
    "a: expected 12 bytes for [3] F32, got 8 bytes in data_offsets [0, 8]",
  );
  const big = 2 ** 32;
  refused(
    raw(`{"a":${f32([big, big], [0, 8])}}`, 8),
    "a: expected a shape of less than 2^63 bytes, got [4294967296, 4294967296] F32",
  );
  // The product wraps to 0 in 64 bits.
  refused(
    raw(`{"a":${f32([big, big, 1], [0, 0])}}`),
    "a: expected a shape of less than 2^63 bytes, got [4294967296, 4294967296, 1] F32",
  );
  refused(
    raw(`{"a":${f32(Array(33).fill(1), [0, 4])}}`, 4),
    "a: expected at most 32 sizes, got more",
  );
});

test("numbers that are no whole ones", () => {
  const shape = (text: string) =>
    raw(`{"a":{"dtype":"F32","shape":[${text}],"data_offsets":[0,8]}}`, 8);
  for (const text of ["-2", "2.0", "2e0", "02", '"2"', "null", "[2]", "+2", "x", "NaN"])
    assert.throws(() => SafetensorsFile.open(shape(text)), {
      code: "ERR_CHECKPOINT",
      message: /: a: expected a shape of whole numbers, got '/,
    });
  const more = "a: expected a shape of whole numbers, got a number of more than 2^53";
  refused(shape("9007199254740992"), more);
  refused(shape("99999999999999999999999"), more);
  assert.throws(() => SafetensorsFile.open(raw(`{"a":${f32([2], [-8, 0])}}`, 8)), {
    message: /: a: expected data_offsets of two whole numbers, got '/,
  });
  refused(
    raw(`{"a":${f32([2], [0, 8, 8])}}`, 8),
    "a: expected data_offsets of two whole numbers, got more",
  );
  refused(raw(`{"a":${f32([2], [0])}}`, 8), "a: expected data_offsets of two whole numbers, got 1");
});

test("unknown dtypes", () => {
  for (const dtype of ["F31", "f32", "", "F4", "torch.float32"])
    refused(
      raw(`{"a":{"dtype":"${dtype}","shape":[2],"data_offsets":[0,8]}}`, 8),
      `a: expected a dtype such as F32, F16 or BF16, got "${dtype}"`,
    );
});

test("keys that come twice, escaped or not", () => {
  refused(
    raw(`{${a8},"a":${f32([2], [8, 16])}}`, 16),
    'header: expected each key once, got "a" twice',
  );
  refused(
    raw(`{${a8},"\\u0061":${f32([2], [8, 16])}}`, 16),
    'header: expected each key once, got "a" twice',
  );
  refused(
    raw(`{"__metadata__":{},"__metadata__":{}}`),
    "header: expected each key once, got __metadata__ twice",
  );
  refused(
    raw(`{"__metadata__":{"k":"1","k":"2"}}`),
    'header: expected each key once, got "k" twice',
  );
  refused(
    raw(`{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8),
    "a: expected each field once, got dtype twice",
  );
});

test("fields that are missing or unknown", () => {
  const fields = "a: expected the fields dtype, shape and data_offsets, got";
  refused(raw(`{"a":{}}`), `${fields} no dtype`);
  refused(raw(`{"a":{"dtype":"F32","shape":[]}}`), `${fields} no data_offsets`);
  refused(raw(`{"a":{"x":{"y":[[[[]]]]}}}`), `${fields} "x"`);
});

test("text that is no JSON, or other JSON", () => {
  for (const text of [
    "[]",
    '"a"',
    "null",
    "{",
    '{"a"',
    '{"a":',
    `{${a8}`,
    `{${a8},}`,
    `{${a8}}}`,
    `{${a8}} x`,
    `{,${a8}}`,
    `{'a':1}`,
    `{"a":1}`,
    `{"a":[]}`,
    `{"a":null}`,
    `{"a\u0001":1}`,
    `{"a\\x":1}`,
    `{"a\\u12":1}`,
    `{"\\ud800":1}`,
    `{"\\udc00\\ud800":1}`,
    `{"\\ud800\\u0041":1}`,
    `{"__metadata__":[]}`,
    `{"__metadata__":{"k":1}}`,
    `{"__metadata__":{"k":null}}`,
    `{"__metadata__":{"k":{"deep":"er"}}}`,
    "\ufeff{}",
    "//{}",
  ])
    assert.throws(
      () => SafetensorsFile.open(raw(text.padEnd(2), 8)),
      (error: Error & { code?: string }) =>
        error.code === "ERR_CHECKPOINT" &&
        /: header: expected .*, got /.test(error.message) &&
        !error.message.includes("\n"),
      text,
    );
});

test("bytes that are no UTF-8", () => {
  for (const bad of [
    [0xff],
    [0x80],
    [0xc0, 0xaf],
    [0xc3],
    [0xe0, 0x80, 0xaf],
    [0xed, 0xa0, 0x80],
    [0xf0, 0x80, 0x80, 0xaf],
    [0xf4, 0x90, 0x80, 0x80],
    [0xf5, 0x80, 0x80, 0x80],
  ]) {
    const text = Buffer.concat([Buffer.from('{"'), Buffer.from(bad), Buffer.from('":1}')]);
    refused(raw(text), "header: expected UTF-8, got an invalid sequence at byte 2");
  }
});

test("names are shown in one line, and not whole when long", () => {
  refused(
    raw(`{"a\\nb":{"dtype":"F31"}}`),
    'a?b: expected a dtype such as F32, F16 or BF16, got "F31"',
  );
  refused(
    raw(`{"${"n".repeat(5000)}":{"dtype":"F31"}}`),
    `${"n".repeat(120)}...: expected a dtype such as F32, F16 or BF16, got "F31"`,
  );
});

test("100 MB of JSON: refused or read within bounds of time and memory", () => {
  const bombs: [string, string, string, number][] = [
    ["one string", '{"__metadata__":{"k":"', "x", 100],
    ["brackets", '{"a":{"shape":', "[", 100],
    ["objects", "", '{"a":', 10],
    ["sizes", '{"a":{"shape":[1', ",1", 10],
    ["metadata", '{"__metadata__":{"k":""', ',"":""', 10],
    ["escapes", '{"__metadata__":{"k":"', "\\u0041", 10],
    ["blanks", "", " ", 10],
    ["digits", '{"a":{"shape":[', "9", 10],
  ];
  for (const [kind, start, unit, megabytes] of bombs) {
    const text = start + unit.repeat((megabytes * 1e6 - start.length) / unit.length);
    const began = process.cpuUsage(); // what other processes take does not count
    const file = raw(text);
    assert.throws(() => SafetensorsFile.open(file), { code: "ERR_CHECKPOINT" }, kind);
    rmSync(file);
    const { user, system } = process.cpuUsage(began);
    assert.ok(user + system < 5e6, kind);
  }
  const tensors = Array.from(
    { length: 250_000 },
    (_, i) => `"${i}":${f32([], [4 * i, 4 * i + 4])}`,
  );
  refused(
    raw(`{${tensors.join(",")}}`, 1_000_000),
    "header: expected at most 200000 tensors, got more",
  );
  using many = SafetensorsFile.open(raw(`{${tensors.slice(0, 200_000).join(",")}}`, 800_000));
  assert.equal([...many.names()].length, 200_000);
});

test("a length that lies about a sparse file of 8 TB", () => {
  const file = fresh();
  const descriptor = openSync(file, "w");
  ftruncateSync(descriptor, 2 ** 43);
  closeSync(descriptor);
  refused(
    file,
    "file: expected a safetensors or PyTorch zip checkpoint, got zero bytes at its start; " +
      "the download was cut, fetch it again",
  );
});

test.run();
