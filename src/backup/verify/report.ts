/**
 * What a verification found. Plain data.
 */
import type { FoundDamage } from '../../repository/damage-notes.ts'

/** A thing that is not as it must be. */
export interface VerifyProblem {
  /** An object of the repository, or a path of the backup. */
  readonly subject: string
  readonly problem: string
}

/** The outcome of one verification. */
export interface VerifyReport {
  readonly id: string
  /** Nothing wrong was found in what was read. */
  readonly isGood: boolean
  /** The first 1000. */
  readonly problems: readonly VerifyProblem[]
  readonly problemCount: number
  readonly files: number
  /** Whose whole content was read and compared with its CRC-32C. */
  readonly filesCompared: number
  readonly unitsRead: number
  /** Not read because of `sample` or `since`. */
  readonly unitsSkipped: number
  /** Decompressed. */
  readonly bytesRead: number
  readonly pagesChecked: number
  readonly walSegments: number
}

/** Problems listed in a report. */
const LISTED = 1000

/** Counts what was verified and what was found wrong, and lists the first problems. */
export class ReportBuilder {
  readonly counts = {
    files: 0,
    filesCompared: 0,
    unitsRead: 0,
    unitsSkipped: 0,
    bytesRead: 0,
    pagesChecked: 0,
    walSegments: 0,
  }
  readonly #id: string
  readonly #problems: VerifyProblem[] = []
  readonly #packs = new Set<string>()
  readonly #wal = new Set<string>()
  #firstDamage: VerifyProblem | undefined
  #isOnlyWal = true
  #problemCount = 0

  constructor(id: string) {
    this.#id = id
  }

  get problemCount(): number {
    return this.#problemCount
  }

  /** What keeps this backup from being restored to its own end; undefined when nothing does. */
  get damage(): FoundDamage | undefined {
    return (
      this.#firstDamage && {
        packs: [...this.#packs].sort(),
        wal: [...this.#wal].sort(),
        isOnlyWal: this.#isOnlyWal,
        ...this.#firstDamage,
      }
    )
  }

  /** A problem of the backup itself, with the packs or the WAL files that it lies in. */
  damaged(
    subject: string,
    problem: string,
    where: { readonly packs?: Iterable<string>; readonly wal?: string } = {},
  ): void {
    this.problem(subject, problem)
    this.#firstDamage ??= { subject, problem }
    for (const pack of where.packs ?? []) this.#packs.add(pack)
    if (where.wal === undefined) this.#isOnlyWal = false
    else this.#wal.add(where.wal)
  }

  /**
   * A problem that leaves the backup as it is: of the WAL after it, or of WAL that may come yet.
   */
  problem(subject: string, problem: string): void {
    this.#problemCount += 1
    if (this.#problems.length < LISTED) this.#problems.push({ subject, problem })
  }

  build(): VerifyReport {
    return {
      id: this.#id,
      isGood: this.#problemCount === 0,
      problems: this.#problems,
      problemCount: this.#problemCount,
      ...this.counts,
    }
  }
}
