/**
 * What tests read out of the JSON that Backstay prints.
 */
import assert from 'node:assert/strict'
import type { Operated, TestHosts } from './hosts.ts'

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

/** `12.3 s` */
export function seconds({ elapsedMs }: Operated): string {
  return `${(elapsedMs / 1000).toFixed(1)} s`
}

/** Everything a command said, for messages of failed assertions. */
export function said({ stdout, stderr }: Operated): string {
  return `${stdout}\n${stderr}`
}
