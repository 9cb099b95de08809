/**
 * What can be done to the cluster. A step throws when Backstay said something that is not so, or left something that does not stand.
 */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SERVER_NAMES, type ServerName } from './cluster.ts'
import { isOnLine, readLine } from './line.ts'
import type { Torture } from './torture.ts'

/** A step by name. */
export interface Step {
  readonly name: string
  readonly weight: number
  readonly act: (torture: Torture) => Promise<void>
}

const EXIT_UNSAFE = 51

export const STEPS: readonly Step[] = [
  { name: 'backup, restored and compared', weight: 30, act: backUpAndProve },
  { name: 'an older moment restored', weight: 8, act: proveOlder },
  { name: 'backup killed in the middle', weight: 6, act: killBackup },
  { name: 'primary killed', weight: 6, act: crashPrimary },
  { name: 'standby killed', weight: 3, act: crashStandby },
  { name: 'receiver killed', weight: 5, act: crashReceiver },
  { name: 'switchover', weight: 7, act: switchOver },
  {
    name: 'failover, disk of the old primary left',
    weight: 5,
    act: (torture) => failOver(torture, false),
  },
  {
    name: 'failover, machine of the old primary lost',
    weight: 4,
    act: (torture) => failOver(torture, true),
  },
  { name: 'expire', weight: 5, act: expire },
  { name: 'keep', weight: 3, act: keep },
  { name: 'delete', weight: 3, act: deleteBackup },
  { name: 'verify-backup', weight: 4, act: verifyBackups },
  { name: 'bit flipped in the repository', weight: 6, act: flipBit },
  { name: 'back to a moment in place', weight: 4, act: goBack },
]

interface Listed {
  readonly id: string
  readonly timeline: number
  readonly stopLsn: string
  readonly kept: boolean
}

async function listed({ cluster }: Torture): Promise<readonly Listed[]> {
  const { said } = await cluster.must('backups', '--json')
  const { backups } = JSON.parse(said) as {
    backups: { id: string; timeline: number; stopLsn: string; keep: unknown }[]
  }
  return backups.map(({ id, timeline, stopLsn, keep }) => ({
    id,
    timeline,
    stopLsn,
    kept: keep !== null && keep !== undefined,
  }))
}

async function backUpAndProve(torture: Torture): Promise<void> {
  const { cluster, random } = torture
  const primary = await cluster.primary()
  const standby = otherThan(primary)
  const words = [
    ...(random.chance(0.15) ? ['--full'] : []),
    ...(random.chance(0.3) ? ['--from', standby] : []),
    ...(random.chance(0.2) ? ['--spread'] : []),
  ]
  const { said } = await cluster.must('backup', '--json', ...words)
  const { id, type, method } = JSON.parse(said) as { id: string; type: string; method: string }
  torture.tally.backups += 1
  torture.newestBackup = id
  torture.say(`  backup ${id}: ${type} by ${method} ${words.join(' ')}`)
  await torture.pause(0, 1500)
  const moment = await torture.takeMoment()
  await torture.mustProve(id, moment)
}

/** What a listed backup can reach on the line the primary is on has to come back, or be refused because its WAL was let go. */
async function proveOlder(torture: Torture): Promise<void> {
  const line = await readLine(torture.cluster)
  const onLine = torture.moments.filter((moment) => isOnLine(line, moment))
  if (onLine.length === 0) return
  const moment = torture.random.pick(onLine)
  const proof = await torture.prove('auto', moment)
  if (proof.outcome === 'proved') return
  torture.say(`  refused: ${proof.answer.text.trim().split('\n').at(-1) ?? ''}`)
  if (![10, 50].includes(proof.answer.code ?? -1)) {
    throw new Error(
      `Restoring ${moment.name} ended with ${proof.answer.code}:\n${proof.answer.text}`,
    )
  }
}

async function killBackup(torture: Torture): Promise<void> {
  const { child, ended } = torture.cluster.start('backup')
  await torture.pause(300, 3000)
  child.kill('SIGKILL')
  await ended
  torture.tally.faults += 1
  await listed(torture)
}

async function crashPrimary(torture: Torture): Promise<void> {
  const { cluster } = torture
  await cluster.kill(await cluster.primary())
  torture.tally.faults += 1
  await torture.pause(0, 1000)
  await cluster.must('up')
  await torture.rest()
  await torture.checkAcknowledged()
  torture.work()
}

async function crashStandby(torture: Torture): Promise<void> {
  const { cluster } = torture
  await cluster.kill(otherThan(await cluster.primary()))
  torture.tally.faults += 1
  await torture.pause(0, 3000)
  await cluster.must('up')
}

async function crashReceiver(torture: Torture): Promise<void> {
  await torture.cluster.endService(torture.random.pick(['SIGKILL', 'SIGKILL', 'SIGTERM']))
  torture.tally.faults += 1
  await torture.pause(0, 3000)
  await torture.cluster.serve()
}

async function switchOver(torture: Torture): Promise<void> {
  const { cluster } = torture
  const before = await cluster.primary()
  const answer = await cluster.run('switchover', '--to', otherThan(before))
  // On a busy machine the archiver can be far behind: nothing was changed, and it says so.
  if (answer.code !== 0 && /segments to archive/.test(answer.text)) {
    torture.tally.refused += 1
    torture.say('  refused: too much is to be archived')
    return
  }
  if (answer.code !== 0) throw new Error(`switchover ended with ${answer.code}:\n${answer.text}`)
  torture.tally.roleChanges += 1
  if ((await cluster.primary()) === before) throw new Error(`${before} is still the primary`)
  await torture.rest()
  await torture.checkAcknowledged()
  torture.work()
}

async function failOver(torture: Torture, isMachineLost: boolean): Promise<void> {
  const { cluster } = torture
  const old = await cluster.primary()
  await cluster.kill(old)
  torture.tally.faults += 1
  torture.tally.roleChanges += 1
  if (isMachineLost) await setAside(torture, old)
  const words = ['failover', '--to', otherThan(old), '--primary-is-dead']
  const answer = await cluster.run(...words)
  const isUnsafe = isMachineLost && answer.code === EXIT_UNSAFE
  torture.say(`  failover ended with ${answer.code}`)
  if (isUnsafe) await cluster.must(...words, '--allow-data-loss')
  else if (answer.code !== 0) throw new Error(`failover ended with ${answer.code}:\n${answer.text}`)
  await torture.rest()
  if (isUnsafe) await torture.acceptLoss()
  else await torture.checkAcknowledged()
  torture.work()
  if (isMachineLost) await cluster.must('up')
  else await cluster.must('rejoin', old)
}

async function expire(torture: Torture): Promise<void> {
  const { random, cluster } = torture
  await cluster.must('expire', '--count', String(random.between(1, 4)), '--minimum', '1')
  await newestStands(torture)
}

async function keep(torture: Torture): Promise<void> {
  const backups = await listed(torture)
  if (backups.length === 0) return
  const { id, kept } = torture.random.pick(backups)
  const target = torture.random.pick(['standalone', 'full'])
  await torture.cluster.must('keep', id, ...(kept ? ['--release'] : ['--target', target]))
}

async function deleteBackup(torture: Torture): Promise<void> {
  const backups = (await listed(torture)).filter(({ kept }) => !kept)
  if (backups.length < 2) return
  const { id } = torture.random.pick(backups.slice(0, -1))
  const { code, text } = await torture.cluster.run('delete', id, '--yes')
  // So few that the minimum of the cluster file holds all of them, or the recovery of a copy that was left paused reads it still.
  const isHeld =
    (code === 1 && /would remain.*, the minimum is/.test(text)) ||
    (code === 11 && /for the recovery of/.test(text))
  if (code !== 0 && !isHeld) throw new Error(`delete ended with ${code}:\n${text}`)
  if (isHeld) torture.tally.refused += 1
  await newestStands(torture)
}

/** What was deleted is not missed by what is left. */
async function newestStands(torture: Torture): Promise<void> {
  await verifyBackups(torture)
  await proveOlder(torture)
}

async function verifyBackups({ cluster }: Torture): Promise<void> {
  await cluster.must('verify-backup')
}

/** Damage is found, or what is restored in spite of it is right. */
async function flipBit(torture: Torture): Promise<void> {
  const { cluster, random } = torture
  const folder = join(cluster.repository, 'torture')
  const names = (await readdir(folder, { recursive: true })).filter((name) =>
    /^(packs|backups)\/.*\.(pack|json|zst)$/.test(name),
  )
  if (names.length === 0) return
  const path = join(folder, random.pick(names))
  const content = await readFile(path)
  const damaged = Buffer.from(content)
  const at = random.between(0, content.length - 1)
  damaged[at] = (damaged[at] ?? 0) ^ (1 << random.between(0, 7))
  await writeFile(path, damaged)
  torture.tally.faults += 1
  torture.say(`  byte ${at} of ${path.slice(folder.length + 1)}`)
  try {
    const answer = await cluster.run('verify-backup')
    torture.say(`  verify-backup ended with ${answer.code}`)
    if (answer.code === 0) await proveOlder(torture)
  } finally {
    await writeFile(path, content)
  }
  // What was found is remembered until it is found good again.
  await verifyBackups(torture)
}

/** The whole cluster goes back to an earlier moment; what came later is given up. */
async function goBack(torture: Torture): Promise<void> {
  const { cluster, random } = torture
  const line = await readLine(cluster)
  const reachable = torture.moments.filter((moment) => isOnLine(line, moment))
  if (reachable.length === 0) return
  const moment = random.pick(reachable)
  await torture.rest()
  const primary = await cluster.primary()
  const target = ['--target-name', moment.name]
  const answer = await cluster.run(
    'restore',
    'auto',
    join(cluster.path, 'copy'),
    ...target,
    '--plan',
  )
  if (answer.code !== 0) {
    torture.say(
      `  ${moment.name} cannot be reached: ${answer.text.trim().split('\n').at(-1) ?? ''}`,
    )
    torture.work()
    return
  }
  await cluster.must('down')
  await setAside(torture, primary)
  await cluster.must(
    'restore',
    'auto',
    '--server',
    primary,
    ...target,
    '--target-action',
    'promote',
  )
  torture.backTo(moment)
  await cluster.must('up')
  for (const name of SERVER_NAMES) if (name !== primary) await cluster.must('reclone', name)
  await torture.checkAcknowledged()
  torture.say(`  the cluster is back at ${moment.name}`)
  torture.tally.roleChanges += 1
  torture.work()
}

async function setAside({ cluster }: Torture, server: ServerName): Promise<void> {
  await rm(cluster.directory(server), { recursive: true })
  const tablespace = server === 'db1' ? 'here' : 'there'
  await rm(join(cluster.path, 'tablespaces', tablespace), { recursive: true, force: true })
}

function otherThan(server: ServerName): ServerName {
  return server === 'db1' ? 'db2' : 'db1'
}
