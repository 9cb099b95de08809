/**
 * Barman's log file: one line for each message. What cannot be logged does not stop the command.
 */
import { appendFileSync } from 'node:fs'
import { redact } from '../../errors/redact.ts'
import type { Clock } from '../../util/clock.ts'
import { plainTime } from './pretty.ts'

const LOG_LEVELS = ['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'] as const

/** How grave a line is. */
export type BarmanLogLevel = (typeof LOG_LEVELS)[number]

/** A log; without a file nothing is kept. */
export interface BarmanLog {
  write(level: BarmanLogLevel, text: string): void
}

/** Opens the log. `least`: lines below are left out. */
export function openLog(file: string | undefined, least: string, clock: Clock): BarmanLog {
  const from = Math.max(0, (LOG_LEVELS as readonly string[]).indexOf(least))
  return {
    write: (level, text) => {
      if (file === undefined || LOG_LEVELS.indexOf(level) < from) return
      const time = plainTime(clock.now()).replace('.', ',').slice(0, -3)
      try {
        appendFileSync(file, `${time} [${process.pid}] backstay ${level}: ${redact(text)}\n`, {
          mode: 0o600,
        })
      } catch {
        // The command's own work matters more, and what it says goes to its streams as well.
      }
    },
  }
}
