/**
 * Tortures one cluster after another for a time: random work and one random step after another. The first thing that is not as it has
 * to be ends it, with the seed that draws the same steps again.
 */
import type { PostgresMajor } from '../../src/postgres/version.ts'
import { STEPS } from './steps.ts'
import { NOTHING, type Tally, Torture } from './torture.ts'

/** Each cluster lives so long; the next has the next seed. */
const CLUSTER_MINUTES = 5

/** What is run. */
export interface TortureWish {
  readonly major: PostgresMajor
  readonly minutes: number
  readonly seed: number
  /** Takes a line for each step. */
  readonly say: (line: string) => void
  /** Ends it after the step under way. */
  readonly signal?: AbortSignal | undefined
  /** Where all files of a cluster are left when something was wrong. */
  readonly keep?: string | undefined
}

/** What came of it. */
export interface TortureResult {
  readonly clusters: number
  readonly tally: Tally
  /** What was wrong, with seed and step; undefined when nothing was. */
  readonly wrong: string | undefined
}

export async function tortureFor(wish: TortureWish): Promise<TortureResult> {
  const endsAtMs = performance.now() + wish.minutes * 60_000
  const isAborted = (): boolean => wish.signal?.aborted === true
  const tallies: Tally[] = []
  let wrong: string | undefined
  for (
    let seed = wish.seed;
    wrong === undefined && performance.now() < endsAtMs && !isAborted();
    seed++
  ) {
    await using torture = await Torture.begin(wish.major, seed, wish.say)
    tallies.push(torture.tally)
    const clusterEndsAtMs = Math.min(endsAtMs, performance.now() + CLUSTER_MINUTES * 60_000)
    try {
      await stepsUntil(torture, () => performance.now() > clusterEndsAtMs || isAborted())
    } catch (error) {
      const where = `PostgreSQL ${wish.major}, seed ${seed}, step ${torture.tally.steps}`
      wrong = `${where}: ${error instanceof Error ? error.stack : String(error)}`
      if (wish.keep !== undefined) await torture.cluster.copyTo(wish.keep)
    }
  }
  return { clusters: tallies.length, tally: sumOf(tallies), wrong }
}

/** One step at least: on a slow machine the time may be over when the cluster is built. */
async function stepsUntil(torture: Torture, isOver: () => boolean): Promise<void> {
  do {
    const step = torture.random.weighted(STEPS)
    torture.say(`${(torture.tally.steps += 1)}. ${step.name}`)
    await step.act(torture)
  } while (!isOver())
  await torture.rest()
  await torture.checkAcknowledged()
}

function sumOf(tallies: readonly Tally[]): Tally {
  const sum = { ...NOTHING }
  for (const tally of tallies) {
    for (const name of Object.keys(NOTHING) as (keyof Tally)[]) sum[name] += tally[name]
  }
  return sum
}
