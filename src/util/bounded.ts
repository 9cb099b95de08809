/**
 * Running many things with a limit on how many at once.
 */

/**
 * Runs `work` for each item, at most `limit` at a time, in order of the items. The first failure
 * stops new work from starting and is thrown once the running ones have settled.
 */
export async function forEachBounded<T>(
  items: Iterable<T>,
  limit: number,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const source = [...items].entries()
  let failure: { error: unknown } | undefined
  const lane = async (): Promise<void> => {
    for (const [index, item] of source) {
      if (failure !== undefined) return
      try {
        await work(item, index)
      } catch (error) {
        failure ??= { error }
      }
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, limit) }, lane))
  if (failure !== undefined) throw failure.error
}
