/**
 * The pages of all tables and B-trees of a stopped or quiet server, as numbers that can be compared with those of a copy.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { isSystemError } from './system-error.ts'
import { EMPTY_PAGE, maskedSum, PAGE_BYTES, type PageKind } from './page-mask.ts'

const SEGMENT_PAGES = 131_072
const READ_PAGES = 128

/** A relation whose pages are compared. */
export interface ComparedRelation {
  /** As pg_relation_filepath says it. */
  readonly path: string
  readonly kind: PageKind
  /** For people: `shop: public.t3`. */
  readonly name: string
}

/** A relation with a number for each of its pages, without the empty ones at the end. */
export interface RelationPages extends ComparedRelation {
  readonly sums: Uint32Array
}

/** Reads the relations in a data directory; a file that is not there has no pages. */
export async function readRelations(
  directory: string,
  relations: readonly ComparedRelation[],
): Promise<readonly RelationPages[]> {
  const read: RelationPages[] = []
  for (const relation of relations)
    read.push({ ...relation, sums: await sumsOf(directory, relation) })
  return read
}

/** What differs, a line each; nothing when the pages are the same. */
export function differences(
  before: readonly RelationPages[],
  after: readonly RelationPages[],
): readonly string[] {
  const found: string[] = []
  for (const [index, { name, path, sums }] of before.entries()) {
    const other = after[index]?.sums ?? new Uint32Array()
    const blocks = Math.max(sums.length, other.length)
    const wrong = Array.from({ length: blocks }, (_, block) => block).filter(
      (block) => (sums[block] ?? EMPTY_PAGE) !== (other[block] ?? EMPTY_PAGE),
    )
    if (wrong.length === 0) continue
    const some = wrong.slice(0, 5).join(', ')
    found.push(`${name} (${path}): ${wrong.length} of ${blocks} pages differ: ${some}`)
  }
  return found
}

async function sumsOf(directory: string, { path, kind }: ComparedRelation): Promise<Uint32Array> {
  const sums: number[] = []
  for (let segment = 0; ; segment++) {
    const before = sums.length
    const name = segment === 0 ? path : `${path}.${segment}`
    await addFile(join(directory, name), kind, sums)
    if (sums.length - before < SEGMENT_PAGES) break
  }
  return Uint32Array.from(sums.slice(0, sums.findLastIndex((sum) => sum !== EMPTY_PAGE) + 1))
}

async function addFile(path: string, kind: PageKind, sums: number[]): Promise<void> {
  let file: FileHandle
  try {
    file = await open(path)
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return
    throw error
  }
  await using _file = file
  const buffer = Buffer.alloc(READ_PAGES * PAGE_BYTES)
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length)
    for (let at = 0; at + PAGE_BYTES <= bytesRead; at += PAGE_BYTES) {
      sums.push(maskedSum(buffer.subarray(at, at + PAGE_BYTES), kind))
    }
    if (bytesRead < buffer.length) return
  }
}
