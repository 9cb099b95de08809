/**
 * Sealed JSON objects on a store: read with their format checked, written once.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { PutOutcome, Store } from '../store/store.ts'
import { FORMAT_VERSION } from './format.ts'
import { openSealedJson, sealJson } from './sealed-json.ts'

/**
 * Reads a sealed object; undefined when it is not there.
 * @throws {BackstayError} REPOSITORY_DAMAGED, REPOSITORY_FORMAT for a format this program does not know.
 */
export async function readSealed(
  store: Store,
  name: string,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const content = await store.get(name)
  if (content === undefined) return undefined
  const value = openSealedJson(name, content)
  if (value['format'] === FORMAT_VERSION) return value
  throw new BackstayError(
    'REPOSITORY_FORMAT',
    `Cannot use "${name}" in "${store.location}": its format is ${JSON.stringify(value['format'])}, known is ${FORMAT_VERSION}`,
  )
}

/** Writes a sealed object of the present format. */
export function putSealed(
  store: Store,
  name: string,
  value: Readonly<Record<string, unknown>>,
): Promise<PutOutcome> {
  return store.put(name, sealJson({ format: FORMAT_VERSION, ...value }))
}
