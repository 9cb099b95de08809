/**
 * The rule R + W > N: commits that wait for W of N are all known to any R of the N, when R + W > N. Pure.
 */

/** How many of whom confirm a commit. */
export interface Quorum {
  readonly count: number
  readonly names: readonly string[]
}

/**
 * Reads synchronous_standby_names: `ANY 1 ("db2", vault)`, `FIRST 2 (a, b)`, `2 (a, b)`. Undefined for the empty text and for
 * what promises less than it seems to: a plain list, or `*`, which anybody matches.
 */
export function parseQuorum(text: string): Quorum | undefined {
  const match = /^\s*(?:ANY|FIRST)?\s*(\d+)\s*\((.*)\)\s*$/i.exec(text)
  if (match === null) return undefined
  const names = [...(match[2] ?? '').matchAll(/"((?:[^"]|"")*)"|([^\s,"]+)/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '',
  )
  return names.includes('*') ? undefined : { count: Number(match[1]), names }
}

/** Whether one of `reporters` has every confirmed commit. */
export function isCovered({ count, names }: Quorum, reporters: readonly string[]): boolean {
  return reportersOf({ count, names }, reporters).length + count > names.length
}

/** Those of the quorum who answer. */
export function reportersOf({ names }: Quorum, reporters: readonly string[]): readonly string[] {
  return names.filter((name) => reporters.includes(name))
}
