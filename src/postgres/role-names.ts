/**
 * Names of the superusers of a data directory, read from the catalogue's own file: to log in to a
 * copy of which nothing else is known. The file may be behind what the WAL says; names are hints.
 * Source: PostgreSQL src/include/catalog/pg_authid.h, src/backend/utils/cache/relmapper.c,
 * src/include/access/htup_details.h.
 */

/** Where the map of the shared catalogues' files lies in the data directory. */
export const SHARED_MAP_PATH = 'global/pg_filenode.map'

const PAGE_BYTES = 8192
const AUTHID_OID = 1260
const MAP_MAGIC = 0x592717
const MAPPINGS_MAX = 64
const NAME_BYTES = 64
const PAGE_HEADER_BYTES = 24
const TUPLE_HEADER_BYTES = 23
/** From the name's end: rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin. */
const CAN_LOGIN = 4

/** The file of pg_authid as the map says; where it was made first when the map cannot be read. */
export function authidPath(map: Uint8Array | undefined): string {
  return `global/${map === undefined ? AUTHID_OID : (mappedFile(map) ?? AUTHID_OID)}`
}

function mappedFile(map: Uint8Array): number | undefined {
  const view = new DataView(map.buffer, map.byteOffset, map.byteLength)
  if (map.byteLength < 8 || view.getInt32(0, true) !== MAP_MAGIC) return undefined
  const count = Math.min(view.getInt32(4, true), MAPPINGS_MAX, Math.floor((map.byteLength - 8) / 8))
  for (let at = 8; at < 8 + count * 8; at += 8) {
    if (view.getUint32(at, true) === AUTHID_OID) return view.getUint32(at + 4, true)
  }
  return undefined
}

/**
 * Superusers that may log in, in the order of the file; rows that were deleted may be among them.
 */
export function superuserNames(authid: Uint8Array, major: number): readonly string[] {
  const names = new Set<string>()
  for (let at = 0; at + PAGE_BYTES <= authid.byteLength; at += PAGE_BYTES) {
    for (const name of namesOn(authid.subarray(at, at + PAGE_BYTES), major)) names.add(name)
  }
  return [...names]
}

function namesOn(page: Uint8Array, major: number): string[] {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength)
  const lower = Math.min(view.getUint16(12, true), PAGE_BYTES)
  const names: string[] = []
  for (let at = PAGE_HEADER_BYTES; at + 4 <= lower; at += 4) {
    const item = view.getUint32(at, true)
    const [offset, isNormal, length] = [item & 0x7fff, ((item >>> 15) & 3) === 1, item >>> 17]
    if (!isNormal || offset + length > PAGE_BYTES || length <= TUPLE_HEADER_BYTES) continue
    const name = nameIn(page.subarray(offset, offset + length), major)
    if (name !== undefined) names.push(name)
  }
  return names
}

/** Up to 11 the oid stands in the row's header. */
function nameIn(tuple: Uint8Array, major: number): string | undefined {
  const begin = (tuple[TUPLE_HEADER_BYTES - 1] ?? 0) + (major >= 12 ? 4 : 0)
  const flags = tuple.subarray(begin + NAME_BYTES)
  if (flags[0] !== 1 || flags[CAN_LOGIN] !== 1) return undefined
  const bytes = tuple.subarray(begin, begin + NAME_BYTES)
  const end = bytes.indexOf(0)
  return end <= 0 ? undefined : Buffer.from(bytes.subarray(0, end)).toString('utf8')
}
