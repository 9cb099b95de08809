/**
 * One run: a cluster drawn by chance, random work on it all the time, and one random step after another. After each step everything
 * that Backstay says has to be so; the first thing that is not ends the run with the steps that led to it.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { PostgresMajor } from '../../src/postgres/version.ts'
import { Writer } from '../integration/roles/writer.ts'
import { type ClusterShape, TortureCluster } from './cluster.ts'
import { isOnLine, readLine } from './line.ts'
import { type Moment, takeMoment } from './moment.ts'
import { type Proof, prove } from './proof.ts'
import { Random } from './random.ts'
import { prepareDatabases, Workload } from './workload.ts'

const MOST_MOMENTS = 10
const SESSIONS = 3
const WRITER_PAUSE_MS = 5

/** What was done and found in a run. */
export interface Tally {
  steps: number
  backups: number
  /** Backups restored and compared. */
  proved: number
  /** Restores that were refused, with reason. */
  refused: number
  /** Kills, damages, promotions by hand, lost machines. */
  faults: number
  roleChanges: number
  acknowledgedRows: number
  statements: number
}

/** What a run begins with. */
export const NOTHING: Tally = {
  steps: 0,
  backups: 0,
  proved: 0,
  refused: 0,
  faults: 0,
  roleChanges: 0,
  acknowledgedRows: 0,
  statements: 0,
}

/** A run that goes on. */
export class Torture implements AsyncDisposable {
  readonly cluster: TortureCluster
  readonly random: Random
  readonly say: (line: string) => void
  readonly tally: Tally = { ...NOTHING }
  /** Oldest first. */
  moments: Moment[] = []
  /** Of the newest listed backup that was taken here. */
  newestBackup: string | undefined
  #workload: Workload | undefined
  #writer: Writer | undefined
  #writers = 0
  #names = 0
  /** Acknowledged in the past and still to be there. */
  #acknowledged: readonly bigint[] = []

  private constructor(cluster: TortureCluster, random: Random, say: (line: string) => void) {
    this.cluster = cluster
    this.random = random
    this.say = say
  }

  static async begin(
    major: PostgresMajor,
    seed: number,
    say: (line: string) => void,
  ): Promise<Torture> {
    const random = new Random(seed)
    const shape = drawShape(major, random)
    say(`PostgreSQL ${major}, seed ${seed}: ${JSON.stringify(shape)}`)
    const cluster = await TortureCluster.build(shape)
    try {
      await prepareDatabases(cluster)
      const primary = await cluster.primary()
      await cluster.query(primary, 'CREATE TABLE acknowledged (id bigint PRIMARY KEY, writer int)')
      const torture = new Torture(cluster, random, say)
      torture.work()
      return torture
    } catch (error) {
      await cluster[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Lets the sessions work. */
  work(): void {
    this.#workload ??= new Workload(this.cluster, this.random.branch(), SESSIONS)
    const { path, ports } = this.cluster
    const servers = Object.values(ports).map((port) => ({ address: '127.0.0.1', port }))
    const wanted = {
      servers,
      postgres: { superuser: 'postgres' },
      stateDirectory: `${path}/.backstay/torture`,
    }
    this.#writer ??= new Writer(
      { wanted, statementTimeoutMs: 5000 },
      (this.#writers += 1),
      WRITER_PAUSE_MS,
    )
  }

  /** Ends all sessions that write. */
  async rest(): Promise<void> {
    const [workload, writer] = [this.#workload, this.#writer]
    this.#workload = undefined
    this.#writer = undefined
    await Promise.all([workload?.[Symbol.asyncDispose](), writer?.stop()])
    this.tally.statements += workload?.statements ?? 0
    this.tally.acknowledgedRows += writer?.acknowledged.length ?? 0
    this.#acknowledged = [...this.#acknowledged, ...(writer?.acknowledged ?? [])]
  }

  async pause(least: number, most: number): Promise<void> {
    await delay(this.random.between(least, most))
  }

  /** Stops the work, notes what is there, and lets the work go on. */
  async takeMoment(): Promise<Moment> {
    await this.rest()
    await this.checkAcknowledged()
    const moment = await this.#readMoment(`m${(this.#names += 1)}`)
    this.moments = [...this.moments, moment].slice(-MOST_MOMENTS)
    if (this.random.chance(0.5)) await this.cluster.must('wal', 'switch')
    this.work()
    return moment
  }

  /** A server may crash by itself under such work and come back: that is PostgreSQL's to mend, and what it kept still counts. */
  async #readMoment(name: string): Promise<Moment> {
    try {
      return await takeMoment(this.cluster, name, this.#acknowledged)
    } catch (error) {
      if (!String(error).includes('Connection terminated')) throw error
      this.say('  the primary crashed by itself')
      await this.cluster.backAgain()
      return await takeMoment(this.cluster, name, this.#acknowledged)
    }
  }

  /** Restores `backup` to a moment and compares. */
  async prove(backup: string, moment: Moment): Promise<Proof> {
    const { cluster, random } = this
    const onLine = isOnLine(await readLine(cluster), moment)
    const proof = await prove(cluster, { backup, moment, random, isOnLine: onLine })
    if (proof.outcome === 'proved') this.tally.proved += 1
    else this.tally.refused += 1
    return proof
  }

  /** As `prove`, where a refusal is a fault too. */
  async mustProve(backup: string, moment: Moment): Promise<void> {
    const proof = await this.prove(backup, moment)
    if (proof.outcome === 'proved') return
    throw new Error(`Backup ${backup} cannot be restored to ${moment.name}:\n${proof.answer.text}`)
  }

  /** Every row whose commit was acknowledged is on the primary; the work rests. */
  async checkAcknowledged(): Promise<void> {
    const rows = await this.cluster.query(
      await this.cluster.primary(),
      'SELECT id::text AS id FROM acknowledged',
    )
    const there = new Set(rows.map(({ id }) => BigInt(String(id))))
    const lost = this.#acknowledged.filter((id) => !there.has(id))
    if (lost.length === 0) return
    throw new Error(
      `${lost.length} of ${this.#acknowledged.length} acknowledged rows are lost: ${lost.slice(0, 5).join(', ')}`,
    )
  }

  /** After a loss that was announced and accepted: what is there now counts. */
  async acceptLoss(): Promise<void> {
    const rows = await this.cluster.query(
      await this.cluster.primary(),
      'SELECT id::text AS id FROM acknowledged',
    )
    this.#acknowledged = rows.map(({ id }) => BigInt(String(id)))
  }

  /** After the cluster went back to a moment: what was acknowledged since is gone rightly. */
  backTo(moment: Moment): void {
    this.#acknowledged = moment.acknowledged
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.rest()
    await this.cluster[Symbol.asyncDispose]()
  }
}

function drawShape(major: PostgresMajor, random: Random): ClusterShape {
  return {
    major,
    checksums: random.chance(0.7),
    segmentMegabytes: random.pick([1, 4, 16, 16, 16, 64]),
    synchronous: random.chance(0.5),
    archive: random.chance(0.3),
    summaries: major >= 17 && random.chance(0.7),
  }
}
