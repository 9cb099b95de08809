/**
 * What a verification found. Plain data.
 */

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

/** Collects a report. */
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
  #problemCount = 0

  constructor(id: string) {
    this.#id = id
  }

  get problemCount(): number {
    return this.#problemCount
  }

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
