/**
 * What a check gives back, and what it may look at.
 */
import type { ClusterFound, ServerFound } from '../../cluster/found.ts'
import type { ProgramFound } from '../../cluster/look/look-program.ts'
import type { Plan } from '../../build/plan/plan.ts'
import { type AnsweringServer, answeringPrimary, isAnswering } from '../../cluster/replication.ts'
import type { BackupSideStatus } from '../status.ts'
import type { ClusterWanted } from '../../cluster/wanted.ts'

const FINDING_STATUSES = ['ok', 'warn', 'fail'] as const

/** `warn`: will be a problem or weakens the cluster; `fail`: something does not work now. */
export type FindingStatus = (typeof FINDING_STATUSES)[number]

/** The result of one check on one server. */
export interface Finding {
  /** Stable name: `replication.attached`. */
  readonly check: string
  /** Undefined for the cluster as a whole. */
  readonly server: string | undefined
  readonly status: FindingStatus
  /** What was seen, in one sentence. */
  readonly found: string
  /** Why it is so; undefined when ok. */
  readonly cause: string | undefined
  /** What to do; undefined when ok. */
  readonly remedy: string | undefined
  /** Numbers for monitoring, by name with unit last. */
  readonly metrics: Readonly<Record<string, number>>
}

/** A login that was tried. */
export interface LoginTried {
  readonly server: string
  readonly role: string
  readonly way: 'SQL' | 'replication'
  /** Undefined when it worked. */
  readonly error: { readonly message: string; readonly hint: string } | undefined
  /** What IDENTIFY_SYSTEM answered. */
  readonly systemIdentifier: string | undefined
}

/** Everything the checks judge. */
export interface CheckFacts {
  readonly wanted: ClusterWanted
  readonly found: ClusterFound
  readonly plan: Plan
  readonly logins: readonly LoginTried[]
  /** Free bytes of the file system of each server's data directory, by name. */
  readonly freeBytes: ReadonlyMap<string, number>
  /** The program of each server that runs, by name. */
  readonly programs: ReadonlyMap<string, ProgramFound>
  /** What the primary's log says of the last failed archiving. */
  readonly archiverMessage: string | undefined
  readonly backup: BackupSideStatus | undefined
}

/** A kind of check. Pure. */
export type Check = (facts: CheckFacts) => readonly Finding[]

/** What is wrong and what to do about it. */
export interface Trouble {
  readonly found: string
  readonly cause: string
  readonly remedy: string
  readonly metrics?: Readonly<Record<string, number>>
}

/** Makes the findings of one check on one server. */
export interface FindingMaker {
  ok(found: string, metrics?: Readonly<Record<string, number>>): Finding
  warn(trouble: Trouble): Finding
  fail(trouble: Trouble): Finding
}

/** Makes findings of `check` about `server` (undefined: the cluster). */
export function verdict(check: string, server: string | undefined): FindingMaker {
  const bad =
    (status: 'warn' | 'fail') =>
    (trouble: Trouble): Finding => ({ check, server, status, metrics: {}, ...trouble })
  return {
    ok: (found, metrics = {}) => ({
      check,
      server,
      status: 'ok',
      found,
      cause: undefined,
      remedy: undefined,
      metrics,
    }),
    warn: bad('warn'),
    fail: bad('fail'),
  }
}

/** The primary and the standbys that answer. */
export function pairsOf(facts: CheckFacts): {
  readonly primary: AnsweringServer | undefined
  readonly standbys: readonly AnsweringServer[]
  /** Everybody but the primary, whatever state they are in. */
  readonly others: readonly ServerFound[]
} {
  const primary = answeringPrimary(facts.found)
  const others = facts.found.servers.filter((server) => server.name !== primary?.name)
  return { primary, standbys: others.filter(isAnswering), others }
}

/** `warn` from the first limit on, `fail` from the second on, else undefined. */
export function grade(
  value: number,
  limits: { readonly warn: number; readonly fail: number },
): 'warn' | 'fail' | undefined {
  if (value >= limits.fail) return 'fail'
  return value >= limits.warn ? 'warn' : undefined
}
