/**
 * What tests read out of the JSON that Backstay prints.
 */
import assert from 'node:assert/strict'
import { until } from '../../harness/until.ts'
import type { Operated, TestHosts } from './hosts.ts'

/** Hosts that were just switched on, on a machine that has other work as well. */
const SETTLE_TIMEOUT_MS = 300_000

/** The part of `status --json` that tests look at. */
export interface StatusSeen {
  readonly verdict: string
  readonly primary?: string
  readonly servers: readonly { readonly name: string; readonly state: string }[]
  readonly backup?: {
    readonly receiver?: { readonly state: string; readonly flushedLsn?: string }
    readonly lastBackup?: { readonly id: string; readonly status: string }
    readonly problems: readonly string[]
  }
}

/** The JSON that a command printed. @throws with everything it said when it ended with another exit code */
export function json(ended: Operated, code = 0): unknown {
  assert.equal(ended.code, code, `${ended.stdout}\n${ended.stderr}`)
  return JSON.parse(ended.stdout)
}

/** `status --json`, whatever it finds. */
export async function statusOf(hosts: TestHosts): Promise<StatusSeen> {
  const ended = await hosts.backstay('status', '--json')
  return json(ended, ended.code === 3 ? 3 : 0) as StatusSeen
}

/** Waits until the standby and the backup server stream from the one primary that is expected. */
export async function comesInOrder(hosts: TestHosts, primary: string): Promise<void> {
  let last = ''
  const isOk = async (): Promise<boolean> => {
    const status = await statusOf(hosts)
    last = JSON.stringify(status)
    const isReceiving = status.backup?.receiver?.state === 'streaming'
    return status.verdict === 'ok' && status.primary === primary && isReceiving
  }
  try {
    await until(`${primary} to lead a cluster in order`, isOk, SETTLE_TIMEOUT_MS)
  } catch (error) {
    throw new Error(`the cluster is not in order: ${last}`, { cause: error })
  }
}

/** Waits until the servers are these, in the order of the file: `running,streaming`. */
export async function serversBecome(hosts: TestHosts, states: string): Promise<void> {
  const areSo = async (): Promise<boolean> =>
    (await statusOf(hosts)).servers.map(({ state }) => state).join() === states
  await until(`the servers to be ${states}`, areSo, SETTLE_TIMEOUT_MS)
}

/** `12.3 s` */
export function seconds({ elapsedMs }: Operated): string {
  return `${(elapsedMs / 1000).toFixed(1)} s`
}

/** Everything a command said, for messages of failed assertions. */
export function said({ stdout, stderr }: Operated): string {
  return `${stdout}\n${stderr}`
}
