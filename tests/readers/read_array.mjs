// Read a field of a store with zarrita, and write its values to stdout: float32, in C order.
import { writeFileSync } from "node:fs";
import FileSystemStore from "@zarrita/storage/fs";
import * as zarr from "zarrita";

const [store, name] = process.argv.slice(2);
const group = await zarr.open(new FileSystemStore(store), { kind: "group" });
const field = await zarr.open(group.resolve(name), { kind: "array" });
const { data } = await zarr.get(field);
writeFileSync(1, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
