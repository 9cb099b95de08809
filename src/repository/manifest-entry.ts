/**
 * What a manifest says about one path, as values (docs/repository-format.md §6).
 */

/**
 * One compressed unit in a pack. Within a file's extents the same unit is the same object: compare
 * with `===`.
 */
export interface Unit {
  /** Name of the pack: `<backup id>-<nnnnnn>`. */
  readonly pack: string
  /** Position of the zstd frame in the pack. */
  readonly offset: number
  /** Bytes of the frame. */
  readonly storedBytes: number
  /** Bytes after decompression; at most UNIT_BYTES. */
  readonly rawBytes: number
}

/**
 * A stretch of a file. A file's extents follow each other from 0 to its size; positions are the
 * running sum of lengths.
 */
export interface Extent {
  /** Undefined: zero bytes, nothing is stored. */
  readonly unit: Unit | undefined
  /** First byte inside the decompressed unit; 0 for zero bytes. */
  readonly unitOffset: number
  readonly length: number
}

/** A directory. Comes before everything in it. */
export interface ManifestDirectory {
  readonly kind: 'directory'
  /** Relative to the data directory. */
  readonly path: string
  /** Permission bits. */
  readonly mode: number
}

/** A regular file, and the extents of packs that hold its bytes, in their order. */
export interface ManifestFile {
  readonly kind: 'file'
  readonly path: string
  readonly mode: number
  /** Epoch milliseconds, whole seconds. */
  readonly modifiedAtMs: number
  readonly sizeBytes: number
  /** CRC-32C of the whole content; undefined where only changes were sent by the server. */
  readonly crc32c: number | undefined
  readonly extents: readonly Extent[]
}

/** A tablespace's symbolic link, `pg_tblspc/<oid>`. */
export interface ManifestLink {
  readonly kind: 'link'
  readonly path: string
  readonly mode: number
  /** Where it pointed on the server. */
  readonly target: string
}

/** One path of a backup. */
export type ManifestEntry = ManifestDirectory | ManifestFile | ManifestLink

/** What the manifest's end says. */
export interface ManifestTotals {
  readonly files: number
  readonly directories: number
  readonly links: number
  /** Sum of the sizes of all files. */
  readonly bytes: number
}
