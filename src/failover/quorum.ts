/**
 * The rule R + W > N: commits that wait for W of N are all known to any R of the N, when R + W > N.
 * Pure.
 */

/** How many of whom confirm a commit. */
export interface Quorum {
  readonly count: number
  readonly names: readonly string[]
}

/**
 * Reads synchronous_standby_names: `ANY 1 ("db2", vault)`, `FIRST 2 (a, b)`, `2 (a, b)`. Undefined
 * for the empty text and for what promises less than it seems to: a plain list, or `*`, which
 * anybody matches.
 */
export function parseQuorum(text: string): Quorum | undefined {
  const match = /^(?:ANY|FIRST)?\s*(\d+)\s*\((.*)\)$/i.exec(text.trim())
  if (match === null) return undefined
  const names = [...(match[2] ?? '').matchAll(/"((?:[^"]|"")*)"|([^\s,"]+)/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '',
  )
  return names.includes('*') ? undefined : { count: Number(match[1]), names }
}

/** synchronous_standby_names as two servers have it. */
export interface QuorumWords {
  /** The lost primary and its text, as last seen by this operator. */
  readonly primary: { readonly name: string; readonly names: string }
  /**
   * Who is to take over and its own text: what `up` gave it with whatever it gave the primary,
   * whoever typed it.
   */
  readonly candidate: { readonly name: string; readonly names: string }
}

/**
 * What can be relied on of what was last seen of a lost primary: another operator may have changed
 * it since, and with it the settings of the standbys. The fewer confirmations of the two, among
 * everybody whom one of them names. Undefined when one of them says that commits do not wait.
 */
export function agreedQuorum({ primary, candidate }: QuorumWords): Quorum | undefined {
  const [seen, own] = [parseQuorum(primary.names), parseQuorum(candidate.names)]
  if (seen === undefined || own === undefined) return undefined
  const others = own.names.filter((name) => name !== primary.name)
  return { count: Math.min(seen.count, own.count), names: [...new Set([...seen.names, ...others])] }
}

/** Whether one of `reporters` has every confirmed commit. */
export function isCovered({ count, names }: Quorum, reporters: readonly string[]): boolean {
  return reportersOf({ count, names }, reporters).length + count > names.length
}

/** Those of the quorum who answer. */
export function reportersOf({ names }: Quorum, reporters: readonly string[]): readonly string[] {
  return names.filter((name) => reporters.includes(name))
}
