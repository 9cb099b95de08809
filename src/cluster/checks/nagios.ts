/**
 * Findings as a monitoring plugin prints them: one line and performance data.
 * Source: Monitoring Plugins Development Guidelines, "Plugin Output for Nagios", "Performance data".
 */
import type { Finding, FindingStatus } from './finding.ts'

const WORDS: Readonly<Record<FindingStatus, string>> = {
  ok: 'OK',
  warn: 'WARNING',
  fail: 'CRITICAL',
}
const EXIT_CODES: Readonly<Record<FindingStatus, number>> = { ok: 0, warn: 1, fail: 2 }
/** Metric name ending → unit of measurement. */
const UNITS: readonly [string, string][] = [
  ['Bytes', 'B'],
  ['Ms', 'ms'],
]

/** The worst of all findings. */
export function worstStatus(findings: readonly Finding[]): FindingStatus {
  if (findings.some(({ status }) => status === 'fail')) return 'fail'
  return findings.some(({ status }) => status === 'warn') ? 'warn' : 'ok'
}

/** The line, without line end, and the plugin's exit code. */
export function nagiosLine(findings: readonly Finding[]): {
  readonly line: string
  readonly exitCode: number
} {
  const status = worstStatus(findings)
  const bad = findings.filter((finding) => finding.status !== 'ok')
  const order = (finding: Finding): number => (finding.status === 'fail' ? 0 : 1)
  const said = [...bad]
    .sort((one, other) => order(one) - order(other))
    .map(({ check, server, found }) => `${server ?? 'cluster'} ${check}: ${found}`)
  const text = said.length === 0 ? `${findings.length} checks ok` : said.join('; ')
  const data = findings.flatMap(performanceData)
  const tail = data.length === 0 ? '' : ` | ${data.join(' ')}`
  // A bar would begin the performance data.
  const line = `BACKSTAY ${WORDS[status]} - ${text.replaceAll('|', '/').replaceAll('\n', ' ')}${tail}`
  return { line, exitCode: EXIT_CODES[status] }
}

function performanceData(finding: Finding): readonly string[] {
  return Object.entries(finding.metrics).map(([name, value]) => {
    const [ending, unit] = UNITS.find(([suffix]) => name.endsWith(suffix)) ?? ['', '']
    const label = `${finding.server ?? 'cluster'}_${name.slice(0, name.length - ending.length)}`
    return `'${label.replaceAll(/['=]/g, '_')}'=${value}${unit}`
  })
}
