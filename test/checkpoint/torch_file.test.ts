// PyTorch's own files: real ones (test/checkpoint/golden, torch 2.13, by the script in its README), and hostile ones.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { opcodeName } from "../../ts/checkpoint/pickle_opcodes.js";
import { openTensors } from "../../ts/checkpoint/sharded.js";
import { packageRoot } from "../../ts/native/load.js";
import { synchronize } from "../../ts/tensor/device.js";
import { empty } from "../../ts/tensor/tensor.js";
import { fresh } from "./files.js";
import {
  called,
  floats,
  operations,
  pickleOf,
  tensorOf,
  torchOf,
  zipOf,
  type Pickled,
} from "./torch_bytes.js";

const golden = path.join(packageRoot, "test", "checkpoint", "golden");
const six = floats([0, 1, 2, 3, 4, 5]);
const matrix = tensorOf({ elements: 6, shape: [2, 3], strides: [3, 1] });

function written(bytes: Uint8Array): string {
  const file = fresh("model.pt");
  writeFileSync(file, bytes);
  return file;
}

function refused(bytes: Uint8Array, part: string | RegExp): void {
  const file = written(bytes);
  assert.throws(
    () => openTensors(file),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, "ERR_CHECKPOINT", error.stack ?? "");
      assert.ok(error.message.startsWith(`${file}: `) && !error.message.includes("\n"));
      if (typeof part === "string") assert.equal(error.message.slice(file.length + 2), part);
      else assert.match(error.message, part);
      return true;
    },
  );
}

/** A state dict of one tensor that this pickle value stands for. */
const withValue = (value: Pickled) =>
  torchOf(pickleOf({ dict: [["w", matrix], ["x", value]] }), { "0": six }); // prettier-ignore

const real = suite("files that torch wrote");
const expected = JSON.parse(readFileSync(path.join(golden, "expected.json"), "utf8")) as Record<
  string,
  { shape: number[]; values: number[] }
>;
for (const name of readdirSync(golden).filter((n) => n.endsWith(".pt")))
  real(`${name}: every tensor, shared, strided, empty, of every dtype`, async () => {
    using store = openTensors(path.join(golden, name));
    const names = [...store.names()].filter((key) => key in expected);
    assert.equal(names.length, name === "float8.pt" ? 2 : Object.keys(expected).length - 2);
    for (const key of names) {
      const { shape, values } = expected[key]!;
      assert.deepEqual(store.shape(key), shape, key);
      assert.deepEqual([...(await store.read(key).read())], values, key);
    }
  });

real("rows of a strided tensor, laid down transposed", async () => {
  using store = openTensors(path.join(golden, "state_dict.pt"));
  const rows = empty([2, 4]); // rows 2 and 3 of [6, 4], which lies as [4, 6]
  await store.readInto("transposed", rows, { fromRow: 2, rows: 2 });
  assert.deepEqual([...(await rows.read())], [2, 8, 14, 20, 3, 9, 15, 21]);
  const back = empty([4, 6]);
  await store.readInto("transposed", back, { transposed: [6, 4] });
  assert.deepEqual(
    [...(await back.read())],
    Array.from({ length: 24 }, (_, i) => i),
  );
});
real.run();

const made = suite("files made by hand");
made("zip64 fields", async () => {
  using store = openTensors(
    written(torchOf(pickleOf({ dict: [["w", matrix]] }), { "0": six }, { zip64: true })),
  );
  assert.deepEqual([...(await store.read("w").read())], [0, 1, 2, 3, 4, 5]);
});

made("a deflated pickle is read, a deflated storage refused", () => {
  const pickle = { name: "a/data.pkl", content: pickleOf({ dict: [["w", matrix]] }) };
  const storage = { name: "a/data/0", content: six };
  openTensors(written(zipOf([{ ...pickle, deflate: true }, storage]))).close();
  refused(
    zipOf([pickle, { ...storage, deflate: true }]),
    "w: expected a/data/0 stored, got it compressed; save the model again by torch.save",
  );
});

made("what stands beside the tensors is passed over", () => {
  const other = [1, "text", null, true, 2 ** 40, called("torch.Size", [[2]])];
  using store = openTensors(written(withValue(other)));
  assert.deepEqual([...store.names()], ["w"]);
});

made("every opcode but those of checkpoints is refused by its name", () => {
  const read = new Set(
    "MARK EMPTY_TUPLE STOP BINFLOAT BININT BININT1 BININT2 NONE BINPERSID REDUCE BINUNICODE EMPTY_LIST APPEND BUILD GLOBAL APPENDS BINGET LONG_BINGET BINPUT LONG_BINPUT SETITEM TUPLE SETITEMS EMPTY_DICT PROTO TUPLE1 TUPLE2 TUPLE3 NEWTRUE NEWFALSE LONG1 SHORT_BINUNICODE STACK_GLOBAL MEMOIZE FRAME".split(
      " ",
    ),
  );
  for (let code = 0; code < 256; ++code) {
    const name = opcodeName(code);
    if (read.has(name)) continue;
    refused(
      torchOf(Buffer.from([0x80, 2, code, 0x2e]), {}),
      `data.pkl: expected an opcode of checkpoints, got the opcode ${name} at byte 2`,
    );
  }
});

made("every global but those of tensors is refused by its name", () => {
  for (const name of [
    "os.system",
    "posix.system",
    "builtins.eval",
    "builtins.getattr",
    "torch.load",
    "torch._utils._rebuild_device_tensor_from_numpy",
    "numpy.core.multiarray.scalar",
    "__main__.Model",
    "collections.defaultdict",
    "constructor.prototype",
    ".__proto__",
  ]) {
    refused(withValue(called(name, ["id"])), new RegExp(`got the global ${name.replaceAll(".", "\\.")} at byte`));
    const stack = { raw: Buffer.concat([operations("os"), operations("system"), Buffer.from([0x93])]) };
    refused(withValue(stack), /got the global os\.system/);
  }
}); // prettier-ignore

made("storages and tensors that lie", () => {
  const one = (parts: Parameters<typeof tensorOf>[0], storages = { "0": six }) =>
    torchOf(pickleOf({ dict: [["w", tensorOf(parts)]] }), storages);
  const good = { elements: 6, shape: [2, 3], strides: [3, 1] };
  refused(one({ ...good, shape: [3, 3] }), "w: expected [3, 3] within a storage of 6 elements, got strides [3, 1] from element 0");
  refused(one({ ...good, strides: [4, 1] }), /within a storage of 6 elements/);
  refused(one({ ...good, offset: 1 }), /from element 1/);
  refused(one({ ...good, elements: 7 }), "w: expected 28 bytes in archive/data/0, got 24; download it again");
  refused(one({ ...good, key: "1" }), "w: expected its data in archive/data/1, got no such member");
  refused(one({ ...good, key: "../0" }), /no such member/);
  refused(one({ ...good, strides: [1] }), /2 strides, one a size/);
  refused(one({ ...good, shape: [2, -3] }), /a size of whole numbers/);
  refused(one({ ...good, shape: [2 ** 40, 2 ** 40], strides: [0, 0] }), /within a storage/);
  refused(one({ ...good, shape: Array.from({ length: 40 }, () => 1), strides: [] }), /at most 32/);
  refused(one({ ...good, storage: "torch._utils._rebuild_tensor_v2" }), /a storage class/);
}); // prettier-ignore

made("pickles that are no checkpoints", () => {
  const raw = (bytes: Uint8Array) => torchOf(bytes, { "0": six });
  refused(raw(Buffer.alloc(0)), "data.pkl: expected 1 more bytes, got the end of its 0 at byte 0");
  refused(raw(Buffer.from([0x80, 2])), /the end of its 2/);
  refused(raw(Buffer.from([0x80, 9, 0x2e])), /protocol 2 to 5, got 9/);
  refused(raw(Buffer.from("\x80\x02.", "latin1")), /1 values on the stack, got 0/);
  refused(raw(Buffer.from("\x80\x02}h\x05.", "latin1")), /none at 5 of the memo/);
  refused(raw(Buffer.from("\x80\x02}(.", "latin1")), /1 values on the stack, got 0/);
  refused(raw(Buffer.from("\x80\x02t.", "latin1")), /a mark/);
  refused(raw(Buffer.from("\x80\x02}(Kau.", "latin1")), /a value for each key/);
  refused(raw(Buffer.from("\x80\x02X\xff\xff\xff\xff", "latin1")), /4294967295 more bytes/);
  refused(raw(pickleOf(3)), "data.pkl: expected a dict of tensors, or one under state_dict, got something else");
  refused(raw(pickleOf({ dict: [["epoch", 3]] })), /got a dict of epoch/);
  const two = { dict: [["w", matrix]] } as const;
  refused(raw(pickleOf({ dict: [["a", two], ["b", two]] })), /got a dict of a, b/);
  refused(raw(Buffer.concat([Buffer.from([0x80, 2]), Buffer.alloc(2_100_000, "N")])), /at most 2000000 operations/);
  const nested = Buffer.concat([Buffer.alloc(50_000, "]"), Buffer.alloc(49_999, "a")]);
  refused(raw(Buffer.concat([Buffer.from([0x80, 2]), nested, Buffer.from(".")])), /something else/);
}); // prettier-ignore

made("archives that are cut, encrypted, doubled or of another kind", () => {
  const pickle = { name: "a/data.pkl", content: pickleOf({ dict: [["w", matrix]] }) };
  const storage = { name: "a/data/0", content: six };
  const whole = zipOf([pickle, storage]);
  for (let bytes = 4; bytes < whole.length; ++bytes)
    refused(whole.subarray(0, bytes), /download it again|one data\.pkl|fetch it again|header/);
  refused(zipOf([pickle, pickle]), "a/data.pkl: expected each member once, got it twice");
  refused(zipOf([{ ...pickle, flags: 1 }]), "a/data.pkl: expected a plain member, got an encrypted one");
  refused(zipOf([{ ...pickle, header: 2 ** 31 }]), /within the \d+ bytes of the file/);
  refused(zipOf([{ ...pickle, localName: "b/data.pkl" }]), /a header of the same name/);
  refused(zipOf([pickle, { ...storage, header: 0 }]), /a member's header|of the same name/);
  refused(zipOf([]), /an empty zip/);
  refused(zipOf([{ name: "word/document.xml", content: six }]), /a zip of word\/document\.xml/);
  refused(zipOf([pickle, storage, { name: "a/constants.pkl", content: six }]), /TorchScript/);
  refused(
    zipOf([pickle, storage, { name: "a/byteorder", content: Buffer.from("big") }]),
    "byteorder: expected little, got big",
  );
  const bad = Buffer.from(whole);
  bad[30 + "a/data.pkl".length + 3]! ^= 1;
  refused(bad, /the checksum of the zip directory/);
  const bomb = { name: "a/data.pkl", content: Buffer.alloc(65 << 20), deflate: true };
  refused(zipOf([bomb]), "a/data.pkl: expected at most 67108864 bytes, got 68157440");
}); // prettier-ignore

made("the data of a file that is cut after it was opened is an error at the wait", async () => {
  const file = written(torchOf(pickleOf({ dict: [["w", matrix]] }), { "0": six }));
  using store = openTensors(file);
  writeFileSync(file, "");
  store.read("w");
  await assert.rejects(synchronize("cpu"), { code: "ERR_CHECKPOINT" });
});
made.run();
