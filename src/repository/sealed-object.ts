/**
 * Sealed JSON objects on a store: read with their format checked, written once.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { PutOutcome, Store } from '../store/store.ts'
import { FORMAT_VERSION } from './format.ts'
import { openSealedJson, sealJson } from './sealed-json.ts'

/** Marks, notes, locks, identities. */
const SEALED_BYTES_MAX = 16 * 1024 * 1024
/** What names every pack of a backup: some 150 bytes for each GiB. */
export const PACK_LIST_BYTES_MAX = 64 * 1024 * 1024

/**
 * Reads a sealed object; undefined when it is not there.
 * @throws {BackstayError} REPOSITORY_DAMAGED, REPOSITORY_FORMAT for a format this program does not
 * know.
 */
export async function readSealed(
  store: Store,
  name: string,
  limitBytes = SEALED_BYTES_MAX,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const content = await store.get(name, limitBytes)
  if (content === undefined) return undefined
  const value = openSealedJson(name, content)
  if (value['format'] === FORMAT_VERSION) return value
  throw new BackstayError(
    'REPOSITORY_FORMAT',
    `Cannot use "${name}" in "${store.location}": its format is ${JSON.stringify(value['format'])}, known is ${FORMAT_VERSION}`,
  )
}

/** `putSealed` in place of what has the name. */
export function replaceSealed(
  store: Store,
  name: string,
  value: Readonly<Record<string, unknown>>,
): Promise<void> {
  return store.replace(name, sealJson({ format: FORMAT_VERSION, ...value }))
}

/** Writes a sealed object of the present format. */
export function putSealed(
  store: Store,
  name: string,
  value: Readonly<Record<string, unknown>>,
): Promise<PutOutcome> {
  return store.put(name, sealJson({ format: FORMAT_VERSION, ...value }))
}
