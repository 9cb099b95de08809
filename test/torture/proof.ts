/**
 * Restores a backup to a moment with Backstay's own command, opens it, and compares it with what was so at that moment: every row,
 * every index, every page.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  comparedRelations,
  contentDifferences,
  contentOf,
  indexProblems,
  visibilityProblems,
} from './content.ts'
import { type Answer, endServer, type TortureCluster } from './cluster.ts'
import type { Moment } from './moment.ts'
import type { Random } from './random.ts'
import { differences, readRelations } from './relation-pages.ts'

const START_TIMEOUT = '200s'
const SHOWN = 20

/** What is proved. */
export interface ProofWish {
  /** Id of a backup, or `auto`. */
  readonly backup: string
  readonly moment: Moment
  readonly random: Random
  /** Whether the moment lies on the line of timelines that the primary is on: the command has to find it without being told. */
  readonly isOnLine: boolean
}

/** How a proof went. */
export type Proof =
  | { readonly outcome: 'proved' }
  /** The command said that it cannot; whether that is right is for the caller to judge. */
  | { readonly outcome: 'refused'; readonly answer: Answer }

/**
 * Proves a backup (or `auto`).
 * @throws when what came back is not what was there.
 */
export async function prove(
  cluster: TortureCluster,
  { backup, moment, random, isOnLine }: ProofWish,
): Promise<Proof> {
  const copy = join(cluster.path, 'copy')
  const action = random.pick(['pause', 'pause', 'promote'])
  const words = [
    ...wordsFor(cluster, moment, action),
    ...(isOnLine ? [] : [`--target-tli=${moment.timeline}`]),
  ]
  // Whoever fetches WAL ahead for the copy before goes away soon after its server.
  await rm(copy, { recursive: true, force: true, maxRetries: 20 })
  await rm(join(cluster.path, 'copy-tablespace'), { recursive: true, force: true })
  const answer = await cluster.run('restore', backup, copy, ...words)
  if (answer.code !== 0) return { outcome: 'refused', answer }
  const relations = await comparedRelations(cluster, cluster.copyPort)
  const found = [
    ...contentDifferences(moment.content, await contentOf(cluster, cluster.copyPort)),
    ...(await indexProblems(cluster, cluster.copyPort)),
    ...(action === 'promote' ? await visibilityProblems(cluster, cluster.copyPort) : []),
  ]
  await endServer(copy, 'SIGINT')
  const names = new Set(relations.map(({ path }) => path))
  found.push(
    ...moment.pages.filter(({ path }) => !names.has(path)).map(({ name }) => `${name} is gone`),
  )
  // A server that takes writes prunes pages when they are read.
  if (action === 'pause') {
    found.push(...differences(moment.pages, await readRelations(copy, moment.pages)))
  }
  if (found.length === 0) return { outcome: 'proved' }
  throw new Error(
    `Backup ${backup} restored to ${moment.name} (${action}) is not what was there:\n  ${found.slice(0, SHOWN).join('\n  ')}\n${answer.text}`,
  )
}

function wordsFor(cluster: TortureCluster, moment: Moment, action: string): readonly string[] {
  return [
    `--target-name=${moment.name}`,
    `--target-action=${action}`,
    `--start=${cluster.copyPort}`,
    `--start-timeout=${START_TIMEOUT}`,
    `--tablespace=${moment.tablespaceOid}:${cluster.path}/copy-tablespace`,
  ]
}
