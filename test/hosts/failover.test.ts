/**
 * Failovers on three hosts whose commits wait for the standby or the backup server: whatever happens to the primary, no row that
 * was acknowledged is lost, and the old primary does not serve beside the new one when it comes back.
 * BACKSTAY_POWER_FAILURES=20 does as many power failures as the figures of docs/benchmarks.md.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { until } from '../harness/until.ts'
import { json } from './rig/answers.ts'
import { whyNoHosts } from './rig/image.ts'
import { RoleHosts, seconds, SYNCHRONOUS, tell } from './rig/role-hosts.ts'
import type { HostWriter } from './rig/writer.ts'

const POWER_FAILURES = Number(process.env['BACKSTAY_POWER_FAILURES'] ?? 1)
const BOOT_TIMEOUT_MS = 90_000

interface FailedOver {
  readonly primary: string
  readonly fencing: string
  readonly loss: { readonly kind: string }
  readonly isFollowed: boolean
}

interface WayTaken {
  readonly way: string
  readonly reasons: readonly string[]
}

describe('failover on three hosts', { skip: whyNoHosts() ?? false }, () => {
  let roles: RoleHosts
  before(async () => {
    roles = await RoleHosts.start(SYNCHRONOUS)
    await roles.succeeds('up')
  })
  after(async () => roles?.[Symbol.asyncDispose]())

  /** Fails over from the primary, which is in trouble. Nothing may be lost. */
  async function failOver(
    ...words: readonly string[]
  ): Promise<FailedOver & { readonly elapsedMs: number }> {
    const ended = await roles.hosts.backstay('failover', ...words, '--json')
    const result = json(ended, ended.code === 3 ? 3 : 0) as FailedOver
    assert.equal(result.primary, roles.standby)
    assert.equal(result.loss.kind, 'none')
    roles.primary = result.primary
    return { ...result, elapsedMs: ended.elapsedMs }
  }

  /** Milliseconds until the standby is the primary, and until a row is acknowledged. */
  async function untilWriting(
    writer: HostWriter,
    sinceMs: number,
  ): Promise<{ readonly promotedMs: number; readonly writtenMs: number }> {
    const next = roles.hostOf(roles.standby)
    const isPrimary = (): boolean =>
      roles.hosts.trySql(next, 'SELECT pg_is_in_recovery()').stdout.trim() === 'f'
    await until('the standby to be promoted', isPrimary, BOOT_TIMEOUT_MS)
    const promotedMs = performance.now() - sinceMs
    await roles.goesOn(writer)
    return { promotedMs, writtenMs: performance.now() - sinceMs }
  }

  async function rejoin(...consent: readonly string[]): Promise<WayTaken> {
    const { result } = await roles.succeeds('rejoin', roles.standby, ...consent)
    return result as WayTaken
  }

  test(`after ${POWER_FAILURES} power failures of the primary (20 by hand) loses no acknowledged row`, async (t) => {
    await using writer = await roles.startWriter()
    const commands: number[] = []
    const promotions: number[] = []
    const silences: number[] = []
    const rejoins: number[] = []
    for (let round = 0; round < POWER_FAILURES; round += 1) {
      await roles.goesOn(writer)
      const host = roles.hostOf(roles.primary)
      await roles.hosts.powerOff(host)
      const startedAtMs = performance.now()
      const failed = failOver('--primary-is-dead')
      const { promotedMs, writtenMs } = await untilWriting(writer, startedAtMs)
      promotions.push(promotedMs)
      silences.push(writtenMs)
      const { fencing, elapsedMs } = await failed
      assert.equal(fencing, 'unreachable')
      commands.push(elapsedMs)
      await roles.hosts.powerOn(host)
      assert.ok(!roles.serves(roles.standby), 'the guard does not let the old primary start')
      const beganAtMs = performance.now()
      const { way, reasons } = await rejoin()
      rejoins.push(performance.now() - beganAtMs)
      assert.match(way, /follow|rewind|catch-up/, reasons.join('\n'))
      await roles.isInOrder()
    }
    tell(t, 'from the command to the promotion', promotions)
    tell(t, 'from the command to the first row that was written again', silences)
    tell(t, 'the whole command', commands)
    tell(t, 'rejoin', rejoins)
    await roles.losesNothing(t, writer)
  })

  test('after the cable was pulled: the old primary, back, acknowledges nothing until it rejoins', async (t) => {
    await using writer = await roles.startWriter()
    const old = roles.primary
    const host = roles.hostOf(old)
    roles.hosts.setCable(host, 'down')
    const startedAtMs = performance.now()
    const failed = failOver('--primary-is-dead')
    const { promotedMs, writtenMs } = await untilWriting(writer, startedAtMs)
    t.diagnostic(`promoted after ${seconds(promotedMs)}, written again after ${seconds(writtenMs)}`)
    await failed
    roles.hosts.setCable(host, 'up')
    const alone = roles.hosts.trySql(host, 'INSERT INTO acknowledged VALUES (-1, 0)')
    assert.equal(alone.code, 124, 'its commit waits for a confirmation that nobody gives')
    const up = await roles.hosts.backstay('up', '--json')
    const { error } = JSON.parse(up.stderr) as { error: { code: string } }
    assert.equal(error.code, 'SPLIT_BRAIN', 'nobody takes it for the primary silently')
    t.diagnostic(`rejoined by ${(await rejoin('--yes')).way}`)
    await roles.losesNothing(t, writer)
    await roles.isInOrder()
  })

  test('after the postmaster was stopped in its tracks (SIGSTOP): it is ended, and follows', async (t) => {
    await using writer = await roles.startWriter()
    const old = roles.primary
    const pidfile = '/var/lib/postgresql/15/shop/postmaster.pid'
    roles.hosts.host(roles.hostOf(old)).run(`kill -STOP "$(head -n 1 ${pidfile})"`)
    const { fencing, isFollowed, elapsedMs } = await failOver()
    assert.equal(fencing, 'hung')
    t.diagnostic(`the whole command took ${seconds(elapsedMs)}`)
    if (!isFollowed) t.diagnostic(`rejoined by ${(await rejoin()).way}`)
    await roles.losesNothing(t, writer)
    await roles.isInOrder()
  })

  test('after the disk of the primary is full to the last byte: it is marked all the same, and rejoins when there is room', async (t) => {
    await onSmallDisk(roles)
    await using writer = await roles.startWriter()
    const host = roles.hosts.host(roles.hostOf(roles.primary))
    const data = '/var/lib/postgresql/15/shop'
    host.tryRun(`dd if=/dev/zero of=${data}/full bs=1M`)
    const isDown = (): boolean => {
      roles.hosts.trySql(roles.hostOf(roles.primary), 'SELECT pg_switch_wal()')
      return !roles.serves(roles.primary)
    }
    await until('the primary to give up', isDown, BOOT_TIMEOUT_MS)
    const { fencing, elapsedMs } = await failOver()
    t.diagnostic(`${fencing}: the whole command took ${seconds(elapsedMs)}`)
    await roles.goesOn(writer)
    const insert = 'INSERT INTO acknowledged VALUES (-2, 0)'
    const old = roles.hosts.trySql(roles.hostOf(roles.standby), insert)
    assert.notEqual(old.code, 0, 'the old primary takes no writes')
    host.run(`rm ${data}/full`)
    t.diagnostic(`rejoined by ${(await rejoin()).way}`)
    await roles.losesNothing(t, writer)
    await roles.isInOrder()
  })
})

/** Moves the standby's directory to a small file system of its own, and makes it the primary. */
async function onSmallDisk(roles: RoleHosts): Promise<void> {
  const { standby } = roles
  roles.moveToSmallDisk(standby)
  await roles.isInOrder()
  await roles.succeeds('switchover')
  roles.primary = standby
}
