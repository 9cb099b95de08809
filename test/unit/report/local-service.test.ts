/**
 * What `up`, `status` and `check` say of the service where the backup server is this machine.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NoService, OwnUnit } from '../../../src/cluster/machine/own-service.ts'
import { judgeService, serviceToRun } from '../../../src/report/local-service.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { wish } from '../cluster/builders.ts'

test('where the backup server is this machine and no receiver reports, the command to run is named; elsewhere nothing', async () => {
  await using work = temporaryDirectory()
  const wanted = wish()
  const { backup } = wanted
  assert.ok(backup !== undefined)
  const at = async (
    local: boolean,
    schedule: string | undefined,
    own: NoService = 'no-systemd',
  ): Promise<string> => {
    const host = { ...backup.host, local }
    const here = {
      ...backup,
      host,
      repository: work.path,
      schedule: { ...backup.schedule, backup: schedule },
    }
    return (await serviceToRun({ ...wanted, backup: here }, own, systemClock)).join('\n')
  }
  const said = await at(true, '0 2 * * *')
  assert.match(said, /nothing receives WAL here: slot "backstay_vault".*no backup is taken/)
  assert.match(
    said,
    /Nothing starts backstay serve here, because systemd does not run.*: backstay serve$/,
  )
  const asUser = await at(true, undefined, 'not-root')
  assert.match(
    asUser,
    /only root can make a service: backstay serve --unit \| sudo tee .*shop\.service/,
  )
  assert.doesNotMatch(asUser, /schedule/)
  assert.equal(await at(false, '0 2 * * *'), '')
  const none = { ...wanted, backup: undefined }
  assert.deepEqual(await serviceToRun(none, 'no-systemd', systemClock), [])
})

const unit = (activeState: string, change: Partial<OwnUnit['state']> = {}): OwnUnit => ({
  state: { text: '[Unit]', isEnabled: true, activeState, ...change },
  otherFile: undefined,
})
const problem = (own: OwnUnit | NoService, isReceiving = false): string | undefined =>
  judgeService('shop', own, isReceiving)?.problem

test('a service that runs and starts at boot is no problem, nor is a receiver that somebody else started', () => {
  const up = judgeService('shop', unit('active'), true)
  assert.deepEqual(up, { unit: 'backstay-shop.service', problem: undefined })
  assert.equal(problem(unit('active')), undefined)
  assert.equal(problem(unit('inactive', { text: undefined }), true), undefined)
  assert.equal(problem('no-systemd', true), undefined)
  assert.equal(judgeService('shop', undefined, false), undefined)
})

test('a service that is missing, down, not started at boot or another cluster’s is named with what to do', () => {
  assert.match(problem(unit('inactive', { text: undefined })) ?? '', /backstay up makes service/)
  assert.match(
    problem(unit('failed')) ?? '',
    /backstay-shop\.service is failed: backstay up starts it/,
  )
  assert.match(problem(unit('active', { isEnabled: false }), true) ?? '', /at the next boot/)
  const other = { ...unit('active'), otherFile: '/srv/other.yaml' }
  assert.match(problem(other) ?? '', /works for another one, whose file is \/srv\/other\.yaml/)
  assert.match(problem('no-systemd') ?? '', /systemd does not run on this machine/)
  assert.match(problem('not-root') ?? '', /only root can make a service/)
})
